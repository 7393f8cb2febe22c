# Completion of posthouse(1) for bash. The words come from the program itself.

_posthouse() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    local noun=${COMP_WORDS[1]} verb=${COMP_WORDS[2]} table options words
    table=$("${COMP_WORDS[0]}" config commands 2>/dev/null) || return

    if ((COMP_CWORD == 1)); then
        mapfile -t COMPREPLY < <(compgen -W "$(cut -f 1 <<<"$table" | sort -u) --help --version" -- "$cur")
        return
    fi
    if ((COMP_CWORD == 2)) && [[ $cur != -* ]]; then
        words=$(awk -F '\t' -v noun="$noun" '$1 == noun && $2 != "-" { print $2 }' <<<"$table")
        if [[ -n $words ]]; then
            mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
            return
        fi
    fi

    options=$(awk -F '\t' -v noun="$noun" -v verb="$verb" \
        '$1 == noun && ($2 == "-" || $2 == verb) { for (i = 4; i <= NF; i++) print $i }' <<<"$table")
    if [[ $prev == --* ]] && grep -qxF -- "$prev=" <<<"$options"; then
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    elif [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "${options//=/}" -- "$cur")
    else
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    fi
}

complete -o filenames -F _posthouse posthouse

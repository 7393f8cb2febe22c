// The examples of a page of Markdown, to be run in order as a reader would type them.
//
//     ```sh                          run, in one shell for the whole page
//     curl -s $URL/readyz
//     # -> ready                     what it must print; "..." stands for anything
//     posthouse check
//     # soon -> check: ... 0 differ  asked again until it prints this, at most a minute
//     ```
//     ```json                        what the last command of the block before printed, whatever its layout;
//     { "messages": 3, "...": 0 }    a member "..." stands for all others, the value "..." for any
//     ```
//
// A block that begins with "# needs php" is passed over where there is no such command. Blocks of other languages
// (console, text, c ..) are not run.
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

const SOON_MS = 60_000
const STEP_MS = 120_000

// [{ line, command, expected, soon, json }] of the page's sh and json blocks.
export function examplesOf(text) {
  const examples = []
  let [language, command, last] = [null, null, null]
  const begin = (line) => (command ??= { line, command: '', expected: null, soon: false, json: null })
  const end = () => {
    if (command) examples.push((last = command))
    command = null
  }
  text.split('\n').forEach((row, at) => {
    const fence = row.match(/^```(\w*)/)
    const wanted = row.match(/^# (soon )?->(?: (.*))?$/)
    if (fence && language === null) {
      language = fence[1]
      if (language === 'json' && last) last.json = ''
    } else if (fence) {
      if (language === 'sh') end()
      else if (language === 'json') last = null
      language = null
    } else if (language === 'json' && last) {
      last.json += row + '\n'
    } else if (language === 'sh' && wanted) {
      const example = begin(at + 1)
      example.soon ||= Boolean(wanted[1])
      example.expected = [...(example.expected ?? []), wanted[2] ?? '']
    } else if (language === 'sh') {
      if (command?.expected) end()
      begin(at + 1).command += row + '\n'
    } else if (row.trim() && !row.startsWith('<!--')) {
      last = null // a json block belongs to the sh block right before it
    }
  })
  return examples
}

// Text with "..." in it against what was printed; blanks at line ends do not matter.
export function isLike(expected, printed) {
  const trim = (text) => text.split('\n').map((line) => line.trimEnd()).join('\n').trim()
  const pattern = trim(expected).split('...').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('[^]*?')
  return new RegExp(`^${pattern}$`).test(trim(printed))
}

export function isLikeJson(expected, found) {
  if (expected === '...') return true
  if (expected === null || typeof expected !== 'object') return expected === found
  if (found === null || typeof found !== 'object' || Array.isArray(expected) !== Array.isArray(found)) return false
  const { '...': others, ...members } = expected
  const names = Object.keys(members)
  if (!('...' in expected) && names.length !== Object.keys(found).length) return false
  return names.every((name) => name in found && isLikeJson(members[name], found[name]))
}

// What the last line that is JSON says.
function jsonOf(printed) {
  for (const text of [printed, ...printed.trim().split('\n').reverse()])
    try {
      return JSON.parse(text)
    } catch {} // perhaps the next one
  return undefined
}

// Null when the example printed what the page says, else why not.
export function complaintOf({ expected, json }, { status, printed }) {
  if (status !== 0 && expected === null) return `ended with ${status}`
  if (expected !== null && !isLike(expected.join('\n'), printed)) return `should print\n${expected.join('\n')}`
  if (json !== null && !isLikeJson(JSON.parse(json), jsonOf(printed))) return `should print\n${json}`
  return null
}

// One shell that lives as long as its page; what it started in the background ends with it.
export class Shell {
  constructor(folder, env) {
    this.folder = folder
    this.child = spawn('bash', ['--norc'], { cwd: folder, env, detached: true, stdio: ['pipe', 'pipe', 'pipe'] })
    this.output = ''
    this.errors = ''
    this.child.stdout.setEncoding('utf8').on('data', (text) => ((this.output += text), this.look?.()))
    this.child.stderr.setEncoding('utf8').on('data', (text) => (this.errors += text))
    this.ended = new Promise((resolve) => this.child.on('exit', resolve))
    this.count = 0
  }

  // Runs a text in the shell: { status, printed }.
  run(text) {
    const file = join(this.folder, '.example.sh')
    const mark = `\u001e${++this.count} `
    writeFileSync(file, text)
    this.output = ''
    this.errors = ''
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no end in sight: ${text}${this.output}${this.errors}`)), STEP_MS)
      this.ended.then(() => reject(new Error(`the shell ended: ${text}${this.errors}`)))
      this.look = () => {
        const at = this.output.indexOf(mark)
        const status = at < 0 ? null : this.output.slice(at + mark.length).match(/^(\d+)\n/)
        if (!status) return
        clearTimeout(timer)
        this.look = null
        resolve({ status: Number(status[1]), printed: this.output.slice(0, at) })
      }
      this.child.stdin.write(`. ./.example.sh </dev/null; printf '\\n\\036${this.count} %d\\n' $?\n`)
    })
  }

  async end() {
    try {
      process.kill(-this.child.pid, 'SIGTERM')
    } catch {} // it has ended by itself
    this.child.stdin.end()
    await this.ended
  }
}

// Runs one example; throws naming the line of the page when it prints something else. False when a command it needs is
// not there.
export async function runExample(shell, page, example) {
  const needs = example.command.match(/^# needs (\w+)$/m)
  if (needs && (await shell.run(`command -v ${needs[1]} >/dev/null\n`)).status !== 0) return false
  const end = Date.now() + SOON_MS
  for (;;) {
    const result = await shell.run(example.command)
    const complaint = complaintOf(example, result)
    if (!complaint) return true
    if (!example.soon || Date.now() > end)
      throw new Error(`${page}:${example.line}: ${complaint}\n--- command\n${example.command}--- printed\n${result.printed}${shell.errors}`)
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}

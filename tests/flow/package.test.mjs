// The Debian package holds what it should, and names the libraries the program needs.
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import assert from 'node:assert/strict'

const program = process.env.POSTHOUSE ?? 'build/release/posthouse'
const run = (command, ...args) => execFileSync(command, args, { encoding: 'utf8' })
const version = run('make', '-s', 'version').trim()
const path = run('tools/deb', version, program).trim()

// The package that owns a file; /lib and /usr/lib are the same folder, and packages name either.
function ownerOf(file) {
  const path = run('realpath', file).trim().replace(/^\/usr/, '')
  const done = spawnSync('dpkg', ['-S', path, `/usr${path}`], { encoding: 'utf8' })
  return done.stdout.split(':')[0]
}

test('the Debian package holds program, unit, pages, completion and configuration', () => {
  const files = run('dpkg-deb', '--contents', path)
  for (const file of [
    /^-rwxr-xr-x root\/root .* \.\/usr\/bin\/posthouse$/m,
    /^-rw-r--r-- root\/root .* \.\/usr\/lib\/systemd\/system\/posthouse\.service$/m,
    /^-rw-r--r-- root\/root .* \.\/etc\/posthouse\/posthouse\.conf$/m,
    /^-rw-r--r-- root\/root .* \.\/usr\/share\/man\/man1\/posthouse\.1\.gz$/m,
    /^-rw-r--r-- root\/root .* \.\/usr\/share\/bash-completion\/completions\/posthouse$/m,
    /^-rw-r--r-- root\/root .* \.\/usr\/share\/doc\/posthouse\/openapi\.yaml$/m,
    /^-rw-r--r-- root\/root .* \.\/usr\/share\/doc\/posthouse\/copyright$/m,
  ])
    assert.match(files, file)
})

test('the Debian package keeps an edited configuration when it is updated', () => {
  assert.equal(run('dpkg-deb', '--info', path, 'conffiles').trim(), '/etc/posthouse/posthouse.conf')
})

test('the Debian package depends on every library the program is linked to', () => {
  const depends = run('dpkg-deb', '--field', path, 'Depends')
  const linked = [...run('objdump', '-p', program).matchAll(/NEEDED +(\S+)/g)].map((m) => m[1])
  const where = Object.fromEntries([...run('ldd', program).matchAll(/(\S+) => (\S+)/g)].map((m) => [m[1], m[2]]))
  assert.ok(linked.length > 0)
  for (const library of linked) {
    const owner = ownerOf(where[library])
    assert.match(depends, new RegExp(`\\b${owner.replace(/[.+]/g, '\\$&')}\\b`), `${library} is in ${owner}`)
  }
})

test('the unit starts the installed program and waits until it answers', () => {
  const root = run('mktemp', '-d').trim()
  run('dpkg-deb', '--extract', path, root)
  const unit = run('cat', `${root}/usr/lib/systemd/system/posthouse.service`)
  run('rm', '-r', root)
  assert.match(unit, /^ExecStart=\/usr\/bin\/posthouse serve /m)
  assert.match(unit, /^Type=notify$/m)
  assert.doesNotMatch(unit, /@[A-Z]+@/)
})

test('every default that the sample configuration shows is the default', () => {
  const folder = mkdtempSync(join(tmpdir(), 'posthouse-conf-'))
  const file = join(folder, 'posthouse.conf')
  const show = (...args) => run(program, 'config', 'show', ...args).replace(/ +# default$/gm, '').replace(/^# /gm, '')
  const sample = readFileSync('packaging/posthouse.conf', 'utf8').replace(/^#(?=[a-z_]+ = )/gm, '')
  writeFileSync(file, '')
  const empty = show(file)
  writeFileSync(file, sample)
  const filled = show(file)
  rmSync(folder, { recursive: true })
  assert.equal(filled, empty)
})

test('the example sources of the sample configuration are ones the daemon takes', () => {
  const folder = mkdtempSync(join(tmpdir(), 'posthouse-conf-'))
  const file = join(folder, 'posthouse.conf')
  for (const name of ['mailgun.key', 'mailgun-signing.key']) writeFileSync(join(folder, name), 'key\n')
  const examples = readFileSync('packaging/posthouse.conf', 'utf8').match(/^# {3}\S.*$/gm)
  writeFileSync(file, examples.join('\n').replace(/^# {3}/gm, '').replaceAll('/etc/posthouse', folder) + '\n')
  const done = spawnSync(program, ['config', 'check', file], { encoding: 'utf8' })
  rmSync(folder, { recursive: true })
  assert.equal(done.status, 0, done.stderr + done.stdout)
  assert.match(examples.join('\n'), /\[source mg\]/)
})

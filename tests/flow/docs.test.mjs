// Every example of the papers does what the paper says, typed by a reader with one terminal.
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { folder, program } from './lib/daemon.mjs'
import { Shell, complaintOf, examplesOf, isLike, isLikeJson, runExample } from './lib/examples.mjs'

const pages = ['README.md', 'ARCHITECTURE.md', ...readdirSync('docs').filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`)]

// A port nobody listens on; the pages say 7420 and 7430, which the tester's own daemon may hold.
function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })
}

test('examples are cut out of a page with what they must print', () => {
  const [first, second] = examplesOf('```sh\necho a\n# -> a\necho b\n```\n\n```json\n{"b":1}\n```\n```console\nrm -rf /\n```\n')
  assert.deepEqual([first.command, first.expected, first.json], ['echo a\n', ['a'], null])
  assert.deepEqual([second.command, second.expected, second.json], ['echo b\n', null, '{"b":1}\n'])
  assert.ok(isLike('check: ... 0 differ', 'check: 57 facts compared, 0 differ\n'))
  assert.ok(!isLike('0 differ', '10 differ'))
  assert.ok(isLikeJson({ a: '...', '...': 0 }, { a: 7, b: 8 }))
  assert.ok(!isLikeJson({ a: 1 }, { a: 1, b: 2 }))
  assert.match(complaintOf({ expected: null, json: null }, { status: 7, printed: '' }), /ended with 7/)
})

for (const page of pages) {
  const text = readFileSync(page, 'utf8')
  if (examplesOf(text).length === 0) continue
  test(`the examples of ${page} do what it says`, async () => {
    const home = folder()
    mkdirSync(join(home, 'bin'))
    const ports = { 7420: await freePort(), 7430: await freePort() }
    const listen = `[ "$1" != simulate ] || set -- "$@" --listen 127.0.0.1:${ports[7430]}`
    writeFileSync(join(home, 'bin', 'posthouse'), `#!/bin/sh\n${listen}\nexec ${program} "$@"\n`, { mode: 0o755 })
    const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('POSTHOUSE')))
    const shell = new Shell(home, {
      ...clean,
      PATH: `${join(home, 'bin')}:${process.env.PATH}`,
      NO_COLOR: '1',
      TMPDIR: home,
      POSTHOUSE_HTTP: `127.0.0.1:${ports[7420]}`,
      POSTHOUSE_URL: `http://127.0.0.1:${ports[7420]}`,
    })
    const mine = text.replace(/\b(?:127\.0\.0\.1|localhost):(7420|7430)\b/g, (all, port) => `127.0.0.1:${ports[port]}`)
    try {
      for (const example of examplesOf(mine)) await runExample(shell, page, example)
    } finally {
      await shell.end()
    }
  })
}

// Every example of the papers does what the paper says, typed by a reader with one terminal.
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { cli, folder, program } from './lib/daemon.mjs'
import { freePort } from './lib/ports.mjs'
import { postgres, skip } from './lib/postgres.mjs'
import { Shell, complaintOf, examplesOf, isLike, isLikeJson, runExample } from './lib/examples.mjs'

const pages = ['README.md', 'ARCHITECTURE.md', ...readdirSync('docs').filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`)]

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
  const onPostgres = /\$DATABASE\b/.test(text)
  test(`the examples of ${page} do what it says`, { skip: onPostgres && skip }, async (t) => {
    const home = folder()
    const database = onPostgres ? await (await postgres()).database() : undefined
    mkdirSync(join(home, 'bin'))
    const ports = { 7419: await freePort(), 7420: await freePort(), 7430: await freePort() }
    const listen = `[ "$1" != simulate ] || set -- "$@" --listen 127.0.0.1:${ports[7430]}`
    writeFileSync(join(home, 'bin', 'posthouse'), `#!/bin/sh\n${listen}\nexec ${program} "$@"\n`, { mode: 0o755 })
    const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('POSTHOUSE')))
    const shell = new Shell(home, {
      ...clean,
      ...(database ? { DATABASE: database } : {}),
      PATH: `${join(home, 'bin')}:${process.env.PATH}`,
      NO_COLOR: '1',
      TMPDIR: home,
      POSTHOUSE_HTTP: `127.0.0.1:${ports[7420]}`,
      POSTHOUSE_WORKER: `127.0.0.1:${ports[7419]}`,
      POSTHOUSE_URL: `http://127.0.0.1:${ports[7420]}`,
    })
    const mine = text.replace(/\b(?:127\.0\.0\.1|localhost):(7419|7420|7430)\b/g, (all, port) => `127.0.0.1:${ports[port]}`)
    try {
      for (const example of examplesOf(mine))
        if (!(await runExample(shell, page, example))) t.diagnostic(`${page}:${example.line} needs a command that is not there`)
    } finally {
      await shell.end()
    }
  })
}

const papers = [...pages, ...readdirSync('src').map((layer) => `src/${layer}/README.md`), ...readdirSync('docs/adr').map((name) => `docs/adr/${name}`)]
const quoted = (page) => [...readFileSync(page, 'utf8').replace(/^```[^]*?^```/gm, '').matchAll(/`([^`\n]+)`/g)].map(([, text]) => text)

test('every file that a paper names is there', () => {
  const places = ['.', 'src', 'tests', 'tests/unit', 'docs', 'packaging']
  const isPath = (text) => /^[a-z][\w/.-]*\.(c|h|mjs|yaml|conf|txt)$/.test(text) && !/[A-Z]/.test(text)
  for (const page of papers)
    for (const name of quoted(page).filter(isPath))
      assert.ok([...places, dirname(page)].some((place) => existsSync(join(place, name))), `${page} names ${name}, which is not there`)
})

test('every test that a paper calls a proof is there', () => {
  const source = readdirSync('tests/unit').filter((name) => name.endsWith('.c')).map((name) => readFileSync(`tests/unit/${name}`, 'utf8')).join('\n')
  const tests = new Set([...source.matchAll(/TEST\(\s*(\w+),\s*(\w+)\s*\)/g)].map(([, subject, sentence]) => `${subject}: ${sentence}`))
  let count = 0
  for (const page of papers)
    for (const name of quoted(page).filter((text) => /^\w+: \w+_\w+$/.test(text))) {
      assert.ok(tests.has(name), `${page} names the test "${name}", which is not there`)
      count++
    }
  assert.ok(count >= 14, 'two or more for each promise')
})

test('decisions have a number each, and say it', () => {
  const names = readdirSync('docs/adr').filter((name) => name !== 'README.md').sort()
  assert.equal(new Set(names.map((name) => name.slice(0, 4))).size, names.length)
  names.forEach((name) => {
    assert.match(name, /^\d{4}-[a-z0-9-]+\.md$/)
    const number = name.slice(0, 4)
    const text = readFileSync(`docs/adr/${name}`, 'utf8')
    assert.match(text, new RegExp(`^# ${number} \\S`))
    assert.match(text, /^\*\*Question\.\*\*/m, `${name} asks nothing`)
    assert.match(text, /^\*\*Choice\.\*\*/m, `${name} chooses nothing`)
  })
})

test('the manual names every option of every command', () => {
  const help = (words) => cli([...words, '--help']).stdout
  const named = (text, before) => [...text.matchAll(new RegExp(`^ {2}${before}([a-z]+)`, 'gm'))].map(([, word]) => word)
  const options = (text) => [...text.matchAll(/^ {2}--([a-z0-9-]+)/gm)].map(([, name]) => name)
  const manual = new Set([...readFileSync('man/posthouse.1', 'utf8').matchAll(/\bFl -([a-z0-9-]+)/g)].map(([, name]) => name))
  let count = 0
  for (const noun of new Set(named(help([]), ''))) {
    const verbs = [...new Set(named(help([noun]), `${noun} `))].map((verb) => [noun, verb])
    for (const words of [[noun], ...verbs])
      for (const name of options(help(words))) {
        assert.ok(manual.has(name), `posthouse.1 does not tell of --${name} of "${words.join(' ')}"`)
        count++
      }
  }
  assert.ok(count > 150, `${count} options`)
})

test('every metric that a paper speaks of is one of the program', () => {
  const sources = readdirSync('src', { recursive: true }).filter((name) => name.endsWith('.c')).map((name) => readFileSync(join('src', name), 'utf8')).join('')
  for (const page of pages)
    for (const [name] of readFileSync(page, 'utf8').matchAll(/\bposthouse_[a-z_]+/g))
      if (/_(?:total|seconds|bytes|jobs|records|ready|waiting|leads)$/.test(name))
        assert.ok(sources.includes(`"${name}"`), `${page} speaks of ${name}, which is not there`)
})

test('the manual names every command and every key of the configuration', () => {
  const plain = (page) => readFileSync(page, 'utf8').replace(/^\.(Cm|Ic|It|Nm|Fl|Ar|Op|Xo|Xc) */gm, '').replace(/ (Cm|Ic|Ar|Fl|Op) /g, ' ')
  const commands = [...cli(['--help']).stdout.matchAll(/^ {2}([a-z]+(?: [a-z]+)?) /gm)].map(([, words]) => words)
  assert.ok(commands.length > 15)
  const manual = plain('man/posthouse.1')
  for (const words of commands) assert.ok(manual.includes(words), `posthouse.1 does not tell of "${words}"`)
  const keys = [...cli(['config', 'show']).stdout.matchAll(/^# (\w+) = /gm)].map(([, key]) => key)
  assert.ok(keys.length > 8)
  const conf = plain('man/posthouse.conf.5')
  for (const key of keys) assert.match(conf, new RegExp(`\\b${key}\\b`), `posthouse.conf.5 does not tell of "${key}"`)
})

// Our own tools: the runner counts right, and each check refuses what it is there to refuse.
import { spawnSync } from 'node:child_process'
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import assert from 'node:assert/strict'

const folders = []
after(() => folders.forEach((folder) => rmSync(folder, { recursive: true })))

// A small checkout: our tools, and the files given.
function checkout(files) {
  const folder = mkdtempSync(join(tmpdir(), 'posthouse-tools-'))
  folders.push(folder)
  cpSync('tools', join(folder, 'tools'), { recursive: true })
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(folder, dirname(path)), { recursive: true })
    writeFileSync(join(folder, path), text)
    if (text.startsWith('#!')) chmodSync(join(folder, path), 0o755)
  }
  return folder
}

function run(folder, tool, ...args) {
  const { TEST_RESULTS, TEST_BEGAN, NODE_TEST_CONTEXT, ...env } = process.env
  if (args.includes('unit:unit/endless')) env.TEST_TIMEOUT = '2'
  const done = spawnSync(join(folder, 'tools', tool), args, { encoding: 'utf8', env })
  return { status: done.status, output: done.stdout + done.stderr, last: done.stdout.trimEnd().split('\n').at(-1) }
}

// Put together here, so that this file cites nothing.
const [LED, SRC] = [['LED', 1].join('-'), ['SRC', 2].join('-')]
const rule = (text) => `# Rules\n\n## ${LED} A title\nWhat holds.\n${text}\n`

test('the runner adds up programs of every kind', () => {
  const folder = checkout({
    'unit/good': '#!/bin/sh\necho 1..2; echo "ok 1 - a: b"; echo "ok 2 - a: c"\n',
    'flow/some.test.mjs':
      "import { test } from 'node:test'\ntest('x', () => {})\ntest('y', { skip: 'no data here' }, () => {})\n",
    'docs/plain': '#!/bin/sh\nexit 0\n',
  })
  const { status, output, last } = run(folder, 'run-tests', 'unit:unit/good', 'flow:flow/some.test.mjs', 'docs:docs/plain')
  assert.equal(last, '4 passed, 0 failed, 1 skipped')
  assert.equal(status, 0)
  assert.match(output, /skipped: some.test.mjs: y: no data here/)
})

test('the runner counts failures, crashes, silence cut short and tests that never end', () => {
  const folder = checkout({
    'unit/bad': '#!/bin/sh\necho 1..2; echo "ok 1 - a: b"; echo "not ok 2 - a: breaks"; exit 1\n',
    'unit/crash': '#!/bin/sh\necho 1..3; echo "ok 1 - a: b"; kill -SEGV $$\n',
    'unit/plain': '#!/bin/sh\nexit 7\n',
    'unit/endless': '#!/bin/sh\nexec sleep 60\n',
    'unit/cmocka': '#!/bin/sh\necho 1..1; echo "# skip: no zones"; echo "not ok 1 # SKIP zone: x"\n',
  })
  const names = ['bad', 'crash', 'plain', 'endless', 'cmocka'].map((name) => `unit:unit/${name}`)
  const { status, output, last } = run(folder, 'run-tests', ...names)
  assert.equal(last, '2 passed, 5 failed, 1 skipped')
  assert.equal(status, 1)
  for (const line of [/a: breaks/, /2 of 3 tests did not report/, /ended with status 7/, /ran out of time/, /zone: x: no zones/])
    assert.match(output, line)
})

test('a run without any test fails', () => {
  const folder = checkout({ 'unit/none': '#!/bin/sh\necho 1..0 "# SKIP"; exit 3\n' })
  assert.equal(run(folder, 'run-tests', 'unit:unit/none').status, 1)
})

test('check-layers refuses an include that points upwards and a library out of place', () => {
  const upward = run(checkout({ 'src/engine/a.c': '#include "net/loop.h"\n' }), 'check-layers')
  assert.notEqual(upward.status, 0)
  assert.match(upward.output, /src\/engine\/a.c:1: engine may not include net/)
  const library = run(checkout({ 'src/store/tx.h': '#include <sqlite3.h>\n' }), 'check-layers')
  assert.notEqual(library.status, 0)
  const fine = { 'src/engine/a.c': '#include "base/op.h"\n', 'src/store/sqlite_tx.c': '#include <sqlite3.h>\n' }
  assert.equal(run(checkout(fine), 'check-layers').status, 0)
})

test('check-rules accepts a rule that is cited and proved', () => {
  const folder = checkout({
    'src/a.c': `/* ${LED} */\n`,
    'tests/unit/test_a.c': 'TEST(ledger,\n     counts_once)\n',
    'docs/rules/ledger.md': rule('Test: `ledger: counts_once` (unit)'),
  })
  const { status, output } = run(folder, 'check-rules')
  assert.equal(status, 0, output)
})

test('check-rules refuses a citation without entry, an entry without test, and a test that does not exist', () => {
  const tests = { 'tests/unit/test_a.c': 'TEST(ledger, counts_once)\n' }
  const cases = [
    [{ 'src/a.c': `/* ${LED} ${SRC} */\n`, 'docs/rules/l.md': rule('Test: `ledger: counts_once`') }, `${SRC} has no entry`],
    [{ 'src/a.c': `/* ${LED} */\n`, 'docs/rules/l.md': rule('') }, `${LED} has no line "Test:"`],
    [{ 'src/a.c': `/* ${LED} */\n`, 'docs/rules/l.md': rule('Test: `ledger: other`') }, `there is no test "ledger: other"`],
    [{ 'src/a.c': '\n', 'docs/rules/l.md': rule('Test: `ledger: counts_once`') }, `${LED} is cited nowhere`],
  ]
  for (const [files, complaint] of cases) {
    const { status, output } = run(checkout({ ...tests, ...files }), 'check-rules')
    assert.equal(status, 1)
    assert.ok(output.includes(complaint), output)
  }
})

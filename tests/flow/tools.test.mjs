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

// A program that answers as the benches do, with figures that are known.
const benches = `#!/bin/sh
case "$*" in
*"--peer redis"*) echo "posthouse bench $2: redis is not installed (Debian: redis-tools)" >&2; exit 1 ;;
*"bench jobs --peer beanstalkd"*) echo '{"bench":"jobs","engine":"beanstalkd","sync_ms":0.1,"rate_per_second":400,"p99_ms":5}' ;;
*"bench jobs"*--worker*) echo '{"bench":"jobs","engine":"sqlite","sync_ms":0.1,"rate_per_second":2000,"p99_ms":2}' ;;
*"bench jobs"*)
    count=$(cat count 2>/dev/null || echo 0); echo $((count + 1)) >count
    echo '{"bench":"jobs","engine":"sqlite","sync_ms":0.1,"rate_per_second":'$((900 + count * 100))',"p99_ms":4}' ;;
*"bench push"*) echo '{"bench":"push","engine":"x","sync_ms":0.1}' ;;
*"bench clicks"*)
    echo 'SKIP nginx: it is not installed' >&2
    echo '{"bench":"clicks","engine":"sqlite","sync_ms":0.1,"clients":64,"rate_per_second":300.4,"p99_ms":6.5,"wide":{"clients":512,"rate_per_second":600,"p99_ms":9,"nginx_rate_per_second":800}}' ;;
*"bench mixed"*) echo '{"bench":"mixed","engine":"sqlite","sync_ms":0.1,"alone":{"clicks_per_second":10,"jobs_per_second":8,"events_per_second":6},"together":{"clicks_per_second":5,"clicks_p99_ms":7,"jobs_per_second":2,"events_per_second":3}}' ;;
esac
`

test('the table of benches has medians, the ratio to each other program, and says who is missing', () => {
  const folder = checkout({ posthouse: benches })
  const env = { ...process.env, BENCH: 'jobs clicks mixed', ROUNDS: '3', DOORS: 'other=127.0.0.1:1' }
  const { status, stdout, stderr } = spawnSync('tools/bench', ['./posthouse'], { cwd: folder, encoding: 'utf8', env })
  assert.equal(status, 0, stderr)
  const rows = stdout.replace(/ +/g, ' ').split('\n')
  for (const row of [
    'push, fetch and ack at once, 10 + 10 clients 1000 4 beanstalkd 400 (2.5), other 2000 (0.5)',
    'clicks, 64 connections 300 6.5',
    'clicks, 512 connections 600 9 nginx 800 (0.75)',
    'clicks while all three run 5 7 alone 10 (0.5)',
    'SKIP redis: redis is not installed (Debian: redis-tools)',
    'SKIP nginx: it is not installed',
  ])
    assert.ok(rows.includes(row), `${row}\n${stdout}`)
  assert.equal(rows.filter((row) => row.startsWith('SKIP redis')).length, 1)
})

test('a bench that fails ends the table with its reason', () => {
  const folder = checkout({ posthouse: '#!/bin/sh\necho "posthouse bench: the disk is full" >&2\nexit 1\n' })
  const { status, stderr } = spawnSync('tools/bench', ['./posthouse'], { cwd: folder, encoding: 'utf8', env: { ...process.env, BENCH: 'events' } })
  assert.equal(status, 1)
  assert.match(stderr, /the disk is full/)
})

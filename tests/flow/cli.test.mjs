// The command line as scripts use it: exit codes, output, help.
import { before, test } from 'node:test'
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cli, folder, program, startDaemon } from './lib/daemon.mjs'

let daemon
before(async () => (daemon = await startDaemon()))
const run = async (...args) => daemon.cli(args)

// Runs it and gives its output without the last line feed; the test fails when the command does.
async function good(...args) {
  const { status, stdout, stderr } = await run(...args)
  assert.equal(status, 0, `${args.join(' ')}: ${stderr}`)
  return stdout.trimEnd()
}

test('a mailing is registered, its recipients imported and its figures shown', async () => {
  assert.match(await good('tenant', 'put', 't-1', '--timezone', 'Europe/London', '--retention', 'email=14d,sms=3d', '--contact', 'a@x.org', '--contact', 'b@x.org'),
    /^id +t-1\ntimezone +Europe\/London\n/)
  assert.deepEqual((await daemon.get('/v1/tenants/t-1')).body.contacts, ['a@x.org', 'b@x.org'])
  await good('mailing', 'put', 'm-1', '--tenant', 't-1', '--subject', 'Spring', '--sent-at', '2026-11-21T19:00:00Z', '--track-clicks', 'no')
  assert.equal((await daemon.get('/v1/mailings/m-1')).body.track_clicks, false)

  const file = join(folder(), 'recipients.ndjson')
  writeFileSync(file, Array.from({ length: 2500 }, (_, i) => `{"recipient":"r${i}@x.org"}\n`).join(''))
  assert.equal(await good('mailing', 'import', 'm-1', file), 'accepted 2500, duplicates 0, rejected 0')
  const again = await daemon.cli(['mailing', 'import', 'm-1'], { input: '{"recipient":"R1@X.ORG"}\n{"recipient":"new@x.org"}\n' })
  assert.equal(again.stdout, 'accepted 1, duplicates 1, rejected 0\n')

  assert.match(await good('mailing', 'stats', 'm-1'), /^messages +2501$/m)
  assert.match(await good('mailing', 'stats', 'm-1'), /^open_rate +0$/m)
  assert.equal(JSON.parse(await good('mailing', 'stats', 'm-1', '--json')).messages, 2501)
  assert.match(await good('tenant', 'facts', 't-1', '--from', '2020-01-01', '--to', '2020-01-02'), /no facts/)
})

test('rejected lines are told with their number and make exit code 1', async () => {
  await good('tenant', 'put', 't-1')
  await good('mailing', 'put', 'm-2', '--tenant', 't-1')
  const input = '{"recipient":"a@x.org"}\nnonsense\n\n{"recipient":"b@x.org","colour":1}\n'
  const done = await daemon.cli(['mailing', 'import', 'm-2', '-'], { input })
  assert.equal(done.status, 1)
  assert.equal(done.stdout, 'accepted 1, duplicates 0, rejected 2\n')
  assert.match(done.stderr, /^line 2: .+\nline 4: .*colour/)
  const many = await daemon.cli(['mailing', 'import', 'm-2', '-'], { input: 'x\n'.repeat(30) })
  assert.equal(many.stderr.split('\n').filter((line) => /^line /.test(line)).length, 10, 'the first ten are enough for a person')
})

test('a ready JSON document may be sent instead of options', async () => {
  const done = await daemon.cli(['tenant', 'put', 't-body', '--body', '-'], { input: '{"timezone":"Asia/Tokyo"}' })
  assert.equal(done.status, 0, done.stderr)
  assert.equal((await daemon.get('/v1/tenants/t-body')).body.timezone, 'Asia/Tokyo')
})

test('exit code 1 and a sentence when the server refuses', async () => {
  const refused = await run('mailing', 'stats', 'nobody')
  assert.equal(refused.status, 1)
  assert.match(refused.stderr, /^posthouse mailing stats: .*nobody.* \(404\)$/m)
  const invalid = await run('tenant', 'put', 't-1', '--timezone', 'Mars/Olympus', '--retention', 'email=2d')
  assert.equal(invalid.status, 1)
  assert.match(invalid.stderr, /^ {2}\/timezone: .*Mars\/Olympus/m)
  assert.match(invalid.stderr, /^ {2}\/retention\/email: /m)
  assert.equal(invalid.stdout, '')
  assert.equal((await run('mailing', 'import', 'm-1', '/nonexistent')).status, 1)
})

test('exit code 2 and the nearest word when the command line is wrong', () => {
  const cases = [
    [[], /usage: posthouse NOUN VERB/],
    [['mialing', 'stats', 'x'], /there is no command mialing; did you mean mailing\?/],
    [['mailing', 'stast', 'x'], /there is no stast; did you mean stats\?/],
    [['mailing'], /usage: posthouse mailing VERB/],
    [['mailing', 'stats'], /needs ID/],
    [['mailing', 'stats', 'a', 'b'], /b is one too many/],
    [['mailing', 'stats', 'a', '--jsno'], /no option --jsno; did you mean --json\?/],
    [['mailing', 'stats', 'a', '--url'], /--url needs a value/],
    [['mailing', 'stats', 'a', '--json=yes'], /--json takes no value/],
    [['mailing', 'put', 'a', '--track-opens', 'maybe'], /--track-opens must be yes or no/],
    [['tenant', 'put', 'a', '--retention', '7d'], /--retention must be like email=7d/],
    [['mailing', 'stats', 'a', '--url', 'ftp://x'], /no http or https URL/],
    [['serve', '--http', 'nonsense'], /write an address like/],
    [['version', '-x'], /options begin with --/],
  ]
  for (const [args, said] of cases) {
    const done = cli(args)
    assert.equal(done.status, 2, args.join(' '))
    assert.match(done.stderr, said)
    assert.equal(done.stdout, '')
  }
})

test('exit code 69 when no server answers', () => {
  const done = cli(['mailing', 'stats', 'm-1', '--url', 'http://127.0.0.1:1'])
  assert.equal(done.status, 69)
  assert.match(done.stderr, /is 'posthouse serve' running there\?/)
})

test('help is there for the program, every noun and every command', () => {
  const all = cli(['--help'])
  assert.equal(all.status, 0)
  const commands = [...all.stdout.matchAll(/^ {2}(\S+) ((?:[a-z]+(?= ))?)/gm)].map((m) => [m[1], m[2]].filter(Boolean))
  assert.ok(commands.length > 15)
  for (const command of commands) {
    const help = cli([...command, '--help'])
    assert.equal(help.status, 0, command.join(' '))
    assert.ok(help.stdout.startsWith(`usage: posthouse ${command.join(' ')}`), help.stdout)
    assert.equal(cli([command[0], '-h']).status, 0)
    assert.doesNotMatch(help.stdout, /\0|\(null\)/)
  }
})

test('URL and token come from the environment, an option wins', async () => {
  const token = (await daemon.post('/v1/tokens', { name: 'n', scopes: ['read'] })).body.token
  const refused = await daemon.cli(['tenant', 'put', 't-1'], { env: { POSTHOUSE_TOKEN: token } })
  assert.equal(refused.status, 1)
  assert.match(refused.stderr, /lacks the scope write \(403\)/)
  const admin = (await daemon.post('/v1/tokens', { name: 'n', scopes: ['admin'] })).body.token
  assert.equal((await daemon.cli(['tenant', 'put', 't-1', `--token=${admin}`], { env: { POSTHOUSE_TOKEN: token } })).status, 0)
  assert.equal((await daemon.cli(['mailing', 'stats', 'm', '--url', 'http://127.0.0.1:1'])).status, 69)
})

test('tokens are made, listed and revoked', async () => {
  const text = await good('token', 'create', 'for reports', '--scope', 'read', '--tenant', 't-1')
  assert.match(text, /^ph_[\w-]{43}$/)
  const table = await good('token', 'list')
  assert.match(table, /^ID +NAME +SCOPES +TENANT/)
  const [id] = table.split('\n').find((line) => line.includes('for reports')).split(' ')
  assert.doesNotMatch(table, /ph_/)
  await good('token', 'revoke', id)
  assert.equal((await daemon.get('/v1/tenants/t-1', { token: text })).status, 401)
  assert.equal((await run('token', 'revoke', 'nobody')).status, 1)
})

test('a source is put, shown, listed, and its backfill begun and cancelled', async () => {
  const key = join(folder(), 'key')
  writeFileSync(key, 'secret-key\n')
  const args = ['--type', 'mailgun', '--base-url', 'http://127.0.0.1:1', '--domain', 'mg.x.org', '--api-key-file', key, '--tenant', 't-1']
  const put = await good('source', 'put', 'mg', ...args, '--every', '1s', '--recheck', '30m,24h', '--tag', 'a,b')
  assert.match(put, /^api_key +set$/m)
  assert.match(put, /^LANE +STATE /m)
  assert.doesNotMatch(put, /secret-key/)
  const source = JSON.parse(await good('source', 'show', 'mg', '--json'))
  assert.deepEqual(source.timing, { every: '1s', recheck: ['30m', '24h'] })
  assert.deepEqual(source.tags, ['a', 'b'])
  assert.match(await good('source', 'list'), /^ID +TYPE .*\nmg +mailgun +events +mg\.x\.org +t-1 /)
  const yesterday = new Date(Date.now() - 86_400_000).toISOString()
  const before = new Date(Date.now() - 90_000_000).toISOString()
  assert.match(await good('source', 'backfill', 'mg', '--begin', before, '--end', yesterday), /backfill of mg begins/)
  const twice = await run('source', 'backfill', 'mg', '--begin', before, '--end', yesterday)
  assert.equal(twice.status, 1)
  assert.match(twice.stderr, /\(409\)/)
  assert.match(await good('source', 'cancel', 'mg'), /cancelled/)
  const wrong = await run('source', 'put', 'mg2', '--type', 'mailgum', '--every', '0s')
  assert.equal(wrong.status, 1)
  assert.match(wrong.stderr, /\/type/)
})

test('ids with any character reach the server as they are', async () => {
  await good('tenant', 'put', 'a/b ü%?#')
  assert.equal((await daemon.get(`/v1/tenants/${encodeURIComponent('a/b ü%?#')}`)).body.id, 'a/b ü%?#')
})

test('check compares everything, also beside a running daemon', async () => {
  const done = cli(['check', ...daemon.store])
  assert.equal(done.status, 0, done.stderr)
  assert.match(done.stdout, /^check: \d+ facts compared, 0 differ$/m)
  const json = JSON.parse(cli(['check', ...daemon.store, '--json']).stdout)
  assert.ok(json.compared > 0)
  assert.deepEqual([json.differ, json.differences], [0, []])
  const repair = cli(['check', ...daemon.store, '--repair'])
  const takesTurns = daemon.store[0] === '--database' // with the daemon, which may go on
  assert.equal(repair.status, takesTurns ? 0 : 1)
  if (!takesTurns) assert.match(repair.stderr, /stop that daemon first/)
  assert.equal(cli(['check', '--data', join(folder(), 'none')]).status, 1)
})

test('completion in bash offers nouns, verbs and options', () => {
  const script = `
    source packaging/completions/posthouse.bash
    words() { COMP_WORDS=("$0" "$@"); COMP_CWORD=$#; COMPREPLY=(); _posthouse; echo "\${COMPREPLY[@]}"; }
    words mail; words mailing ''; words mailing stats --t; words serve --d`
  const done = spawnSync('bash', ['-c', script, program], { encoding: 'utf8' })
  assert.equal(done.stdout, 'mailing\nput import stats\n--token\n--data --database --dev\n', done.stderr)
})

test('no colours and no progress where there is no terminal', async () => {
  const done = await daemon.cli(['token', 'list'], { env: { NO_COLOR: '' } })
  assert.doesNotMatch(done.stdout + done.stderr, /\x1b/)
})

test('version says what it is', () => {
  assert.match(cli(['version']).stdout, /^posthouse \d+\.\d+\.\d+\n$/)
  assert.equal(JSON.parse(cli(['version', '--json']).stdout).version, cli(['--version']).stdout.split(' ')[1].trim())
})

test('a result that cannot be written is an error', () => {
  const done = spawnSync('sh', ['-c', '"$0" config routes > /dev/full', program], { encoding: 'utf8' })
  assert.equal(done.status, 1)
  assert.match(done.stderr, /cannot write the result/)
})

test('the daemon is still there after all of it', async () => {
  assert.equal(await daemon.stop(), 0)
})

// A store moves from SQLite to PostgreSQL and back, killed again and again on the way, and is the same store at the end.
// MIGRATE_MESSAGES says how large it is:
//
//     MIGRATE_MESSAGES=1000000 node --test tests/kill/migrate.test.mjs
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { cli, folder, program, startDaemon } from '../flow/lib/daemon.mjs'
import { postgres, skip } from '../flow/lib/postgres.mjs'
import { mailgun, now, post } from '../flow/lib/webhooks.mjs'

const messages = Number(process.env.MIGRATE_MESSAGES || 20_000)
const KILLS = 4
const STEP_MS = Math.max(100, messages / 200) // the first run is killed after one step, the next after two ...
const KEY = 'key-of-the-tests'
const STAY = ['move', 'node', 'duty', 'sqlite_sequence'] // about processes and moves, not about messages

async function fill(daemon) {
  await daemon.put('/v1/tenants/t-1', { timezone: 'Europe/London', contacts: ["o'neil@k.example"] })
  await daemon.put('/v1/mailings/m-1', { tenant: 't-1', subject: 'Ünïcode ✉', sent_at: '2026-11-21T19:00:00.123456Z' })
  await daemon.put('/v1/sources/hooks', { type: 'mailgun', base_url: daemon.url, domain: 'k.example', api_key: 'k', signing_key: KEY, tenant: 't-1' })
  const part = 50_000
  for (let from = 0; from < messages; from += part) {
    const lines = Array.from({ length: Math.min(part, messages - from) }, (_, i) => ({ recipient: `r${from + i}@k.example`, member: `p${from + i}`, provider_message_id: `${from + i}@k` }))
    const { status, text } = await daemon.bulk('/v1/mailings/m-1/messages', lines)
    assert.equal(status, 200, text)
  }
  for (let i = 0; i < 200; i++) {
    const event = ['delivered', 'opened', 'clicked', 'failed', 'complained'][i % 5]
    const more = event === 'failed' ? { severity: 'permanent', 'delivery-status': { code: 550, message: "it's gone" } } : event === 'clicked' ? { url: `https://k.example/${i % 3}` } : {}
    const hook = mailgun(KEY, { event, id: `e-${i}`, timestamp: now() - 60 + i / 10, ip: '192.0.2.1', recipient: `r${i}@k.example`, message: { headers: { 'message-id': `${i}@k` } }, ...more })
    const { status, text } = await post(daemon, 'hooks', hook)
    assert.equal(status, 200, text)
  }
}

// Runs it once; `cut` kills it when it resolves to true. { code, stdout, stderr }, code null when it was killed.
async function runOnce(args, cut) {
  const child = spawn(program, ['migrate', ...args, '--json'], { stdio: ['ignore', 'pipe', 'pipe'] })
  let [stdout, stderr, ended] = ['', '', false]
  child.stdout.setEncoding('utf8').on('data', (text) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text))
  const end = new Promise((resolve) => child.on('close', (code) => ((ended = true), resolve(code))))
  await Promise.race([end, cut(() => ended).then((now) => now && child.kill('SIGKILL'))])
  return { code: await end, stdout, stderr }
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

// Kills it at some moments, then once while it copies (`copies` says that some table has arrived), then lets it end.
async function migrate(args, copies) {
  const moments = Array.from({ length: KILLS }, (_, i) => () => pause((i + 1) * STEP_MS).then(() => true))
  const inTheMiddle = async (ended) => {
    while (!ended() && !(await copies())) await pause(20)
    return !ended()
  }
  for (const cut of [...moments, inTheMiddle, () => new Promise(() => {})]) {
    const { code, stdout, stderr } = await runOnce(args, cut)
    if (code === null) continue
    assert.equal(code, 0, stderr)
    return JSON.parse(stdout)
  }
}

// Rows of a table that one file has and the other has not, both ways.
function differences(one, other) {
  const ask = (sql) => execFileSync('sqlite3', ['-readonly', one, `ATTACH 'file:${other}?mode=ro' AS other`, sql], { encoding: 'utf8' }).trim()
  const tables = ask("SELECT name FROM main.sqlite_master WHERE type = 'table' ORDER BY name").split('\n')
  assert.ok(tables.length > 30)
  return tables
    .filter((table) => !STAY.includes(table))
    .map((table) => [table, ask(`SELECT (SELECT count(*) FROM (SELECT * FROM main.${table} EXCEPT SELECT * FROM other.${table})) + (SELECT count(*) FROM (SELECT * FROM other.${table} EXCEPT SELECT * FROM main.${table})) + abs((SELECT count(*) FROM main.${table}) - (SELECT count(*) FROM other.${table}))`)])
    .filter(([, count]) => count !== '0')
}

test('a store moves to PostgreSQL and back through kills and is the same store', { skip }, async (t) => {
  const daemon = await startDaemon()
  await fill(daemon)
  const stats = await daemon.get('/v1/mailings/m-1/stats')
  await daemon.stop()
  const server = await postgres()
  const url = await server.database()
  const back = join(folder(), 'back')

  const arrived = 'SELECT count(*) FROM (SELECT 1 FROM member LIMIT 1) AS m'
  const there = await migrate(['--data', daemon.data, '--to', url], () => server.query(url, arrived.replace('member', 'posthouse.member')).then(([[count]]) => count > 0, () => false))
  assert.ok(there.resumed, 'no kill fell into the copying')
  assert.ok(there.copied < there.rows)
  const again = await migrate(['--database', url, '--to', `sqlite:${back}`], async () => Number(spawnSync('sqlite3', ['-readonly', join(back, 'posthouse.db'), arrived], { encoding: 'utf8' }).stdout) > 0)
  assert.ok(again.resumed, 'no kill fell into the copying')
  for (const side of [there, again]) {
    assert.equal(side.differ, 0)
    assert.equal(side.compared, side.rows)
    assert.equal(side.check.target.compared, side.check.source.compared)
    t.diagnostic(`${side.rows} rows, of them ${side.copied} in ${side.seconds} s by the last run`)
  }
  assert.equal(there.rows, again.rows)
  assert.deepEqual(differences(join(daemon.data, 'posthouse.db'), join(back, 'posthouse.db')), [])
  assert.equal(cli(['check', '--data', back]).status, 0)

  // What applications said to the database that was left would reach nobody.
  await assert.rejects(server.query(url, `SELECT posthouse.put_mailing('late', '{"tenant":"t-1"}')`), /this store was moved to sqlite:/)
  const moved = await startDaemon({ data: back })
  assert.deepEqual((await moved.get('/v1/mailings/m-1/stats')).body, stats.body)
  const { body } = await moved.bulk('/v1/mailings/m-1/messages', [{ recipient: 'R7@k.example' }, { recipient: 'new@k.example' }])
  assert.deepEqual([body.accepted, body.duplicates], [1, 1])
})

test('a copy that was cut off is no store, and nobody else may put one there', { skip }, async () => {
  const daemon = await startDaemon()
  await fill(daemon)
  await daemon.stop()
  const place = join(folder(), 'place')
  const other = await startDaemon()
  await other.stop()
  for (let wait = 40; ; wait += 20) {
    const child = spawn(program, ['migrate', '--data', daemon.data, '--to', `sqlite:${place}`], { stdio: 'ignore' })
    const timer = setTimeout(() => child.kill('SIGKILL'), wait)
    const code = await new Promise((resolve) => child.on('close', resolve))
    clearTimeout(timer)
    assert.notEqual(code, 0, 'it was never cut off in the middle')
    const begun = spawnSync('sqlite3', ['-readonly', join(place, 'posthouse.db'), 'SELECT count(*) FROM move WHERE role = 2'], { encoding: 'utf8' })
    if (begun.stdout.trim() === '1') break
  }
  const refused = cli(['migrate', '--data', other.data, '--to', `sqlite:${place}`])
  assert.equal(refused.status, 1)
  assert.match(refused.stderr, /holds an unfinished copy/)
  await assert.rejects(startDaemon({ data: place }), /is not finished/)
})

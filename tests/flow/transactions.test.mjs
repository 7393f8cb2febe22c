// What an application says inside its own transaction (docs/transactions.md), said by psql: to the database itself and
// through PgBouncer in transaction mode.
import { spawn, spawnSync } from 'node:child_process'
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { startDaemon, until } from './lib/daemon.mjs'
import { skipPool, startPool } from './lib/pgbouncer.mjs'
import { postgres, skip } from './lib/postgres.mjs'

const literal = (text) => `'${text.replaceAll("'", "''")}'`
const json = (value) => literal(typeof value === 'string' ? value : JSON.stringify(value))
const putMailing = (id, body) => `SELECT posthouse.put_mailing(${literal(id)}, ${json(body)})`
const addMessages = (mailing, lines) => `SELECT posthouse.add_messages(${literal(mailing)}, ${json(lines)})`
const recipients = (name, count) => Array.from({ length: count }, (_, i) => ({ recipient: `${name}-${i}@k.example` }))

// A daemon on a database of its own with tenant t-1 and mailing m-1.
async function start() {
  const server = await postgres()
  const url = await server.database()
  const daemon = await startDaemon({ database: url })
  await daemon.put('/v1/tenants/t-1', {})
  await daemon.put('/v1/tenants/t-2', {})
  await daemon.put('/v1/mailings/m-1', { tenant: 't-1' })
  return { server, url, daemon, say: (text) => server.query(url, text) }
}

const messagesOf = async (daemon, mailing) => (await daemon.get(`/v1/mailings/${mailing}/stats`)).body?.messages
const inboxOf = async (say) => Number((await say('SELECT count(*) FROM posthouse.inbox'))[0][0])

// SQLSTATE, message and DETAIL of what a statement is refused with.
async function refusal(server, url, text) {
  const args = ['-X', '-q', '-v', 'VERBOSITY=verbose', url, '-c', text]
  const { stderr } = spawnSync('psql', args, { encoding: 'utf8' })
  const [, state, message] = stderr.match(/ERROR: {2}(\w{5}): (.*)/) ?? []
  return { state, message, detail: stderr.match(/DETAIL: {2}(.*)/)?.[1] }
}

test('what was committed is done, what was rolled back was never said', { skip }, async () => {
  const { daemon, say } = await start()
  await say(`BEGIN; ${putMailing('gone', { tenant: 't-1' })}; ${addMessages('gone', recipients('gone', 2))}; ROLLBACK`)
  await say(`BEGIN; ${putMailing('m-2', { tenant: 't-1', subject: 'Ünïcode "✉"' })}; ${addMessages('m-2', recipients('a', 3))}; ${addMessages('m-2', recipients('b', 2))}; COMMIT`)
  await until(async () => (await messagesOf(daemon, 'm-2')) === 5)
  assert.equal((await daemon.get('/v1/mailings/m-2')).body.subject, 'Ünïcode "✉"')
  assert.equal((await daemon.get('/v1/mailings/gone')).status, 404)
  assert.equal(await inboxOf(say), 0)
  await say(addMessages('m-2', recipients('a', 4)))
  await until(async () => (await messagesOf(daemon, 'm-2')) === 6)
  assert.match((await daemon.get('/metrics')).text, /^posthouse_inbox_rows_total\{outcome="duplicate"\} 3$/m)
})

// How long after its commit it is there: the figures are for whoever reads the log (INBOX_ROUNDS=100 gives more of
// them), the limits only tell a taker that sleeps.
const rounds = Number(process.env.INBOX_ROUNDS || 10)

function figures(waits) {
  const sorted = [...waits].sort((a, b) => a - b)
  const at = (part) => sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))].toFixed(0)
  return `p50 ${at(0.5)}, p99 ${at(0.99)}, longest ${at(1)} of ${sorted.length}, in ms`
}

async function seen(daemon, mailing, count, limit) {
  const began = performance.now()
  while ((await messagesOf(daemon, mailing)) < count) {
    assert.ok(performance.now() - began < limit, `${count} messages are not there after ${limit} ms`)
    await new Promise((resolve) => setTimeout(resolve, 3))
  }
  return performance.now() - began
}

test('what one transaction says is there soon after its commit', { skip }, async (t) => {
  const { server, url, daemon } = await start()
  const session = server.session(url)
  const waits = []
  for (let i = 1; i <= 2 * rounds; i++) {
    await session.say(addMessages('m-1', recipients(`one-${i}`, 1)))
    waits.push(await seen(daemon, 'm-1', i, 10_000))
  }
  t.diagnostic(`one row: ${figures(waits)} (100 is the aim)`)
  session.end()
})

test('ten thousand messages are said in one transaction', { skip }, async (t) => {
  const { server, url, daemon, say } = await start()
  const session = server.session(url)
  const waits = []
  const few = 60 // one by one before: what the server plans for them must not be kept for many
  for (let i = 1; i <= few; i++) {
    await session.say(addMessages('m-1', recipients(`few-${i}`, 1)))
    await seen(daemon, 'm-1', i, 10_000)
  }
  const thousand = (from) => `SELECT posthouse.add_messages('m-1', json_agg(json_build_object('recipient', i || '@k.example'))) FROM generate_series(${from}, ${from + 999}) i`
  for (let i = 1; i <= Math.ceil(rounds / 5); i++) {
    await session.say('BEGIN')
    for (let at = 0; at < 10; at++) await session.say(thousand(10_000 * i + 1000 * at))
    await session.say('COMMIT')
    waits.push(await seen(daemon, 'm-1', few + 10_000 * i, 30_000))
  }
  t.diagnostic(`10,000 rows: ${figures(waits)}`)
  session.end()
  assert.equal(await inboxOf(say), 0)
})

// What the API answers to the same, without its guess at the field that was meant.
async function apiOf(daemon, path, body) {
  const { status, body: answer, text } = Array.isArray(body) ? await daemon.post(path, body) : await daemon.put(path, body)
  const said = status === 200 ? answer.rejected[0]?.detail : (answer?.detail ?? text)
  return said?.replace(/; did you mean '\w+'\?$/, '')
}

test('a call is refused with SQLSTATE 22023 and the sentence of the API', { skip }, async () => {
  const { server, url, daemon, say } = await start()
  await daemon.post('/v1/mailings/m-1/messages', [{ recipient: 'first@k.example' }])
  const mailings = [
    {}, { tenant: 1 }, { tenant: '' }, { tenant: 'x'.repeat(129) }, { tenant: null }, { tenant: 'nobody' }, { tenant: 't-1', subjekt: 'x' },
    { tenant: 't-1', subject: 'ü'.repeat(501) }, { tenant: 't-1', subject: ['a'] }, { tenant: 't-1', subject: 'a\0b' }, { tenant: 't-1', sent_at: 'yesterday' },
    { tenant: 't-1', sent_at: '2026-02-29T00:00:00Z' }, { tenant: 't-1', sent_at: '2026-11-21T24:00:00Z' }, { tenant: 't-1', sent_at: '2026-11-21T10:00:00' },
    { tenant: 't-1', track_opens: 'yes' }, { tenant: 't-1', track_opens: null }, { tenant: 't-1', track_opens: false }, { tenant: 't-2' }, { tenant: 't-1', 'a/b~c': 1 },
  ]
  for (const body of mailings) {
    const { state, message } = await refusal(server, url, putMailing('m-1', body))
    assert.deepEqual({ body, state, message }, { body, state: '22023', message: await apiOf(daemon, '/v1/mailings/m-1', body) })
  }
  const one = (more) => ({ recipient: 'a@k.example', ...more })
  const lines = [
    {}, [], null, 'text', 7, true, { recipient: '' }, { recipient: ' \t' }, { recipient: 5 }, { recipient: 'x'.repeat(321) }, one({ id: '' }), one({ id: 'x'.repeat(129) }), one({ member: {} }),
    one({ member: 'a\0' }), one({ what: 1 }), one({ channel: 'fax' }), one({ key: 'live' }), one({ status: 'gone' }), one({ status: 'delivered' }), one({ status: 'pending-virus-check' }),
    one({ created_at: 'now' }), one({ created_at: '1999-12-31T23:59:59Z' }), one({ created_at: '2200-01-01T00:00:00Z' }), one({ sent_at: '1970-01-01T00:00:00Z' }), one({ sent_at: 'x'.repeat(41) }),
    one({ deliver: 'q' }), one({ deliver: {} }), one({ deliver: { queue: 'q' } }), one({ deliver: { queue: 'q', jobtype: '', x: 1 } }), one({ deliver: { queue: 'q', jobtype: 'j', x: 1 } }),
    one({ deliver: { queue: 'x'.repeat(1100), jobtype: 'j' } }), one({ ['ü'.repeat(60)]: 1 }), one({ member: 'x'.repeat(66_000) }), one({ member: '\\u0000', id: 'a\0' }),
  ]
  for (const line of lines) {
    const { state, message, detail } = await refusal(server, url, addMessages('m-1', [one({ id: 'fine' }), line]))
    const wanted = await apiOf(daemon, '/v1/mailings/m-1/messages', [line])
    assert.deepEqual({ line, state, message, detail }, { line, state: '22023', message: wanted, detail: 'line 2' })
  }
  assert.equal((await refusal(server, url, `SELECT posthouse.add_messages('m-1', '[{"recipient":"a@x","recipient":"b@x"}]')`)).message, 'recipient: is given twice')
  assert.equal((await refusal(server, url, addMessages('nowhere', []))).message, (await daemon.post('/v1/mailings/nowhere/messages', [])).body.detail)
  assert.equal((await refusal(server, url, addMessages('m-1', {}))).message, (await daemon.post('/v1/mailings/m-1/messages', {})).body.detail)
  assert.equal((await refusal(server, url, putMailing('x'.repeat(129), { tenant: 't-1' }))).message, (await daemon.put(`/v1/mailings/${'x'.repeat(129)}`, { tenant: 't-1' })).body.detail)
  assert.equal(await inboxOf(say), 0)
  assert.equal(await messagesOf(daemon, 'm-1'), 1)
})

test('instants are read as the API reads them', { skip }, async () => {
  const { daemon, say } = await start()
  const instants = ['2026-11-21T19:00:00.1234567Z', '2026-11-21t19:00:00z', '2026-12-31T23:59:60Z', '2024-02-29T00:00:00+02:30', '1985-04-12T23:20:50.52-08:00']
  for (const [i, sent_at] of instants.entries()) await say(putMailing(`i-${i}`, { tenant: 't-1', sent_at }))
  for (const [i, sent_at] of instants.entries()) {
    const said = await until(async () => (await daemon.get(`/v1/mailings/i-${i}`)).body?.sent_at)
    assert.equal(said, (await daemon.put('/v1/mailings/other', { tenant: 't-1', sent_at })).body.sent_at)
  }
})

test('a row that only the node can refuse is left out alone and stands with its reason', { skip }, async () => {
  const { daemon, say } = await start()
  await daemon.post('/v1/mailings/m-1/messages', [{ recipient: 'first@k.example', id: 'n-1' }])
  await say(addMessages('m-1', [{ recipient: 'a@k.example' }, { recipient: 'b@k.example', id: 'n-1' }, { recipient: 'c@k.example' }]))
  await until(async () => (await messagesOf(daemon, 'm-1')) === 3)
  assert.deepEqual(await say('SELECT subject, reason, body FROM posthouse.inbox_refused'), [['m-1', 'id already used', '{"recipient":"b@k.example","id":"n-1"}']])
  assert.match((await daemon.get('/metrics')).text, /^posthouse_inbox_rows_total\{outcome="refused"\} 1$/m)
  await daemon.logged(/could not all be done/)
})

test('only members of posthouse_app may call, and they may do nothing else there', { skip }, async (t) => {
  const { server, url, daemon, say } = await start()
  const names = ['app', 'stranger'].map((name) => `${name}_${process.pid}`)
  await say(names.map((name) => `CREATE ROLE ${name}`).join('; ') + `; GRANT posthouse_app TO ${names[0]}`)
  t.after(() => say(names.map((name) => `DROP ROLE ${name}`).join('; ')))
  const as = (name, text) => `SET ROLE ${name}; ${text}`
  await say(as(names[0], addMessages('m-1', recipients('app', 1))))
  await until(async () => (await messagesOf(daemon, 'm-1')) === 1)
  assert.deepEqual(await say(as(names[0], 'SELECT count(*) FROM posthouse.inbox_refused')), [['0']])
  await say(as(names[0], push('q', 'j', [])))
  await say(as(names[0], record({ type: 'a.b' })))
  for (const text of [addMessages('m-1', recipients('no', 1)), putMailing('no', { tenant: 't-1' }), push('q', 'j', []), pushMany([]), record({ type: 'a.b' })])
    assert.equal((await refusal(server, url, as(names[1], text))).state, '42501')
  for (const text of ['SELECT * FROM posthouse.inbox', 'SELECT * FROM posthouse.source', `INSERT INTO posthouse.inbox (kind, subject, body) VALUES (1, 'x', '{}')`, 'DELETE FROM posthouse.inbox_refused', 'SELECT posthouse.inbox_shrink()'])
    assert.equal((await refusal(server, url, as(names[0], text))).state, '42501', text)
  // Names that a caller puts in front of ours lead nowhere.
  await say(as(names[0], `CREATE TEMP TABLE mailing (no bigint, id text, tenant_no bigint, track_opens bigint); INSERT INTO mailing VALUES (1, 'fake', 1, 1); SET search_path = pg_temp, posthouse; CREATE TEMP TABLE inbox (LIKE mailing); ${addMessages('m-1', recipients('path', 1))}`))
  assert.equal((await refusal(server, url, as(names[0], `CREATE TEMP TABLE mailing (id text); INSERT INTO mailing VALUES ('fake'); SET search_path = pg_temp, posthouse; ${addMessages('fake', [])}`))).message, "there is no mailing 'fake'")
  await until(async () => (await messagesOf(daemon, 'm-1')) === 2)
})

test('two nodes take each row once, and a killed one loses none', { skip }, async () => {
  const { url, daemon, say } = await start()
  const other = await startDaemon({ database: url })
  const writers = Array.from({ length: 4 }, async (_, w) => {
    for (let i = 0; i < 10; i++) await say(`BEGIN; ${addMessages('m-1', recipients(`w${w}-${i}`, 20))}; COMMIT`)
  })
  await until(async () => (await messagesOf(daemon, 'm-1')) > 50, 30_000)
  await other.kill()
  await Promise.all(writers)
  await until(async () => (await messagesOf(daemon, 'm-1')) === 800, 60_000)
  assert.equal(await inboxOf(say), 0)
  assert.deepEqual(await say('SELECT count(*) FROM posthouse.inbox_refused'), [['0']])
})

test('an emptied inbox gives its space back, also under an old snapshot', { skip }, async () => {
  const { daemon, say, url } = await start()
  const holder = spawn('psql', ['-X', '-q', url], { stdio: ['pipe', 'pipe', 'inherit'] })
  holder.stdin.write("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 'held';\n")
  await new Promise((resolve) => holder.stdout.once('data', resolve))
  await daemon.stop()
  await say(`INSERT INTO posthouse.inbox (kind, subject, body) SELECT 9, 'x', repeat(md5(i::text), 60) FROM generate_series(1, 12000) i; DELETE FROM posthouse.inbox`)
  const size = async () => Number((await say("SELECT pg_relation_size('posthouse.inbox')"))[0][0])
  assert.ok((await size()) > 16 << 20)
  const open = spawn('psql', ['-X', '-q', url], { stdio: ['pipe', 'pipe', 'inherit'] })
  open.stdin.write(`BEGIN; ${putMailing('open', { tenant: 't-1' })}; SELECT 'said';\n`)
  await new Promise((resolve) => open.stdout.on('data', (text) => String(text).includes('said') && resolve()))
  assert.deepEqual(await say('SELECT posthouse.inbox_shrink()'), [['f']]) // a caller is inside: nobody waits
  const closed = new Promise((resolve) => open.on('close', resolve))
  open.stdin.end('ROLLBACK;\n')
  await closed
  assert.deepEqual(await say('SELECT posthouse.inbox_shrink()'), [['t']])
  assert.equal(await size(), 0)
  holder.stdin.end('COMMIT;\n')
})

// --- jobs --------------------------------------------------------------------------------------------------------------

const push = (queue, type, args, options) => `SELECT posthouse.push(${literal(queue)}, ${literal(type)}, ${json(args)}${options === undefined ? '' : `, ${json(options)}`})`
const pushMany = (jobs) => `SELECT posthouse.push_many(${json(jobs)})`
const jobsOf = async (daemon, queue) => (await daemon.get(`/v1/queues/${queue}`)).body?.ready

test('a job pushed in a transaction runs once when it commits and never when it is rolled back', { skip }, async (t) => {
  const { daemon, say } = await start()
  await say(`BEGIN; ${push('mail', 'welcome', [1])}; ROLLBACK`)
  const args = '[ 12345678901234567890, 1.0, "\\u003c" ]'
  const [[jid]] = await say(push('mail', 'welcome', args, '{ "key": "t-7", "custom": {"a":  1} }'))
  const began = performance.now()
  const { body } = await daemon.post('/v1/jobs/fetch', { queues: ['mail'], max: 10, wait: '20s', worker: 'w-1' })
  t.diagnostic(`fetched ${(performance.now() - began).toFixed(0)} ms after the commit (250 is the aim)`)
  assert.deepEqual(body.jobs.map((job) => [job.jid, job.jobtype, job.queue]), [[jid, 'welcome', 'mail']])
  assert.match((await daemon.get(`/v1/jobs/${jid}`)).text, /"args":\[ 12345678901234567890, 1\.0, "\\u003c" \]/)
  await daemon.post('/v1/jobs/ack', { leases: [body.jobs[0].lease] })
  await say(push('mail', 'later', [], { at: '2100-01-01T00:00:00Z' }))
  await until(async () => (await daemon.get('/v1/queues/mail')).body.scheduled === 1)
  assert.equal(await jobsOf(daemon, 'mail'), 0)
})

test('a live jid is ignored, and of two jobs that may run once one is counted out', { skip }, async () => {
  const { daemon, say } = await start()
  assert.deepEqual(await say(push('mail', 'a', [], { jid: 'the-jid-1' })), [['the-jid-1']])
  await say(push('mail', 'a', [], { jid: 'the-jid-1' }))
  await say(pushMany([{ jobtype: 'b', queue: 'mail', args: [1], unique: { for: '10m' } }, { jobtype: 'b', queue: 'mail', args: [1], unique: { for: '10m' } }]))
  await until(async () => (await jobsOf(daemon, 'mail')) === 2)
  assert.equal(await inboxOf(say), 0)
  assert.match((await daemon.get('/metrics')).text, /^posthouse_inbox_rows_total\{outcome="duplicate"\} 2$/m)
})

test('ten thousand jobs are pushed by one call', { skip }, async (t) => {
  const { daemon, say } = await start()
  const [[count]] = await say(`SELECT posthouse.push_many(json_agg(json_build_object('queue', 'bulk', 'jobtype', 'a', 'args', json_build_array(i)))) FROM generate_series(1, 10000) i`)
  assert.equal(count, '10000')
  const began = performance.now()
  await until(async () => (await jobsOf(daemon, 'bulk')) === 10_000, 60_000)
  t.diagnostic(`10,000 jobs: ${(performance.now() - began).toFixed(0)} ms after the commit`)
})

test('a push that POST /v1/jobs would refuse is refused with its sentence', { skip }, async () => {
  const { server, url, daemon, say } = await start()
  const one = (more) => ({ queue: 'q', jobtype: 'j', args: [], ...more })
  const jobs = [
    {}, [], null, 7, 'text', one({ args: undefined }), one({ args: {} }), one({ args: null }), one({ jobtype: '' }), one({ jobtype: undefined }), one({ jobtype: 5 }), one({ jobtype: 'x'.repeat(257) }),
    one({ jobtype: 'posthouse.x' }), one({ queue: 'a b' }), one({ queue: 'x'.repeat(129) }), one({ queue: 1 }), one({ jid: 'seven--' }), one({ jid: 'x'.repeat(129) }), one({ jid: {} }), one({ jid: 'nul\0nul\0nul' }),
    one({ retry: -2 }), one({ retry: 'x' }), one({ retry: 1.5 }), one({ reserve_for: 86_401 }), one({ reserve_for: '5' }), one({ at: 'soon' }), one({ at: 5 }), one({ expires_at: 'never' }), one({ created_at: 'x'.repeat(65) }),
    one({ custom: [] }), one({ mutex: 'x'.repeat(257) }), one({ key: 1 }), one({ timeout: '0s' }), one({ timeout: '2d' }), one({ timeout: 5 }), one({ priority: 10 }), one({ priority: '1' }), one({ batch: 7 }),
    one({ unique: [] }), one({ unique: {} }), one({ unique: { for: 'x' } }), one({ unique: { for: '31d' } }), one({ unique: { for: '1m', until: 'then' } }), one({ unique: { for: '1m', on_conflict: 1 } }),
    one({ unique: { for: '1m', states: 'ready' } }), one({ unique: { for: '1m', states: ['gone'] } }), one({ unique: { for: '1m', what: 1 } }), one({ unique: { for: '1m', key: 'x'.repeat(257) } }),
  ]
  for (const job of jobs) {
    const { state, message, detail } = await refusal(server, url, pushMany([one({ jid: 'fine-fine' }), job ?? null]))
    const { body } = await daemon.post('/v1/jobs', [job ?? null])
    assert.deepEqual({ job, state, message, detail }, { job, state: '22023', message: body.rejected[0]?.detail, detail: 'line 2' })
  }
  assert.equal((await refusal(server, url, pushMany({}))).message, 'jobs must be a JSON array')
  assert.equal((await refusal(server, url, push('q', 'j', []).replace(`'j'`, 'NULL'))).message, 'jobs must have a jobtype parameter')
  assert.equal((await refusal(server, url, push('q', 'j', [], []))).message, 'options must be an object')
  assert.equal((await refusal(server, url, push('q', 'j', [], { args: [] }))).message, 'args: is given twice')
  assert.match((await refusal(server, url, `SELECT posthouse.push('q', 'j', json_build_array(repeat('x', 1 << 20)))`)).message, /^job too big: \d+ bytes$/)
  assert.equal(await inboxOf(say), 0)
  assert.equal((await daemon.get('/v1/queues/q')).status, 404)
})

// --- events ------------------------------------------------------------------------------------------------------------

const record = (event) => `SELECT posthouse.record(${json(event)})`

test('an event recorded in a transaction is in the log once when it commits', { skip }, async () => {
  const { daemon, say } = await start()
  await say(`BEGIN; ${record({ id: 'gone', type: 'a.b' })}; ROLLBACK`)
  assert.deepEqual(await say(record('{"id":"e-1","type":"package.build_fail","source":"ci","data":{"n": 1.0}}')), [['e-1']])
  const [[made]] = await say(record({ type: 'a.b', tenant: 't-1' }))
  await say(record({ id: 'e-1', type: 'package.build_fail', source: 'ci' }))
  await until(async () => (await daemon.get('/v1/events')).body.items.length === 2 && (await inboxOf(say)) === 0)
  const { body, text } = await daemon.get('/v1/events/e-1')
  assert.deepEqual([body.type, body.source, body.tenant], ['package.build_fail', 'ci', null])
  assert.match(text, /"data":\{"n": 1\.0\}/)
  assert.equal((await daemon.get(`/v1/events/${made}`)).body.tenant, 't-1')
  assert.equal((await daemon.get('/v1/events/gone')).status, 404)
  assert.match((await daemon.get('/metrics')).text, /^posthouse_inbox_rows_total\{outcome="duplicate"\} 1$/m)
})

test('an event that POST /v1/events would reject is refused with its sentence', { skip }, async () => {
  const { server, url, daemon, say } = await start()
  const one = (more) => ({ type: 'a.b', ...more })
  const events = [
    {}, [], 7, one({ type: '' }), one({ type: 'a..b' }), one({ type: 'a b' }), one({ type: Array(17).fill('a').join('.') }), one({ type: 'x'.repeat(129) }), one({ type: 5 }),
    one({ id: '' }), one({ id: 'x'.repeat(129) }), one({ source: 'x'.repeat(257) }), one({ subject: 'x'.repeat(513) }), one({ time: 'soon' }), one({ typ: 1 }), one({ tenant: {} }), one({ private: 'yes' }), one({ private: null }),
    one({ receivers: [] }), one({ receivers: { r: 'u-1' } }), one({ receivers: { r: [1] } }), one({ receivers: { r: [''] } }), one({ receivers: { '': [] } }), one({ receivers: Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`r${i}`, []])) }),
    one({ receivers: { r: Array(1001).fill('u') } }), one({ data: 'a\0b' }), one({ data: { 'a\0': 1 } }), one({ subject: 'a\0b' }), one({ receivers: { r: ['\0'] } }),
  ]
  for (const event of events) {
    const { state, message } = await refusal(server, url, record(event))
    const { body } = await daemon.post('/v1/events', [event])
    assert.deepEqual({ event, state, message }, { event, state: '22023', message: body.rejected[0]?.detail })
  }
  const large = `SELECT posthouse.record(json_build_object('type', 'a.b', 'data', repeat('x', 262143)))`
  assert.equal((await refusal(server, url, large)).message, (await daemon.post('/v1/events', [one({ data: 'x'.repeat(262_143) })])).body.rejected[0].detail)
  assert.equal(await inboxOf(say), 0)
})

test('applications may speak through PgBouncer in transaction mode', { skip: skip || skipPool }, async () => {
  const { server, url, daemon } = await start()
  const pooled = await startPool(url)
  await Promise.all(
    Array.from({ length: 8 }, async (_, w) => {
      for (let i = 0; i < 5; i++) await server.query(pooled, `BEGIN; ${putMailing(`b-${w}`, { tenant: 't-1' })}; ${addMessages(`b-${w}`, recipients(`b${w}-${i}`, 3))}; ${i % 2 ? 'ROLLBACK' : 'COMMIT'}`)
      await server.query(pooled, push('pooled', 'j', [w]))
    }),
  )
  for (let w = 0; w < 8; w++) await until(async () => (await messagesOf(daemon, `b-${w}`)) === 9, 30_000)
  await until(async () => (await jobsOf(daemon, 'pooled')) === 8, 30_000)
  assert.equal((await refusal(server, pooled, addMessages('b-1', [{}]))).message, 'recipient: is required')
})

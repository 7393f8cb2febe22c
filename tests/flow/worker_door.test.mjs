// The worker door on the wire: transcripts of the protocol, and junk that harms nobody.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, test } from 'node:test'
import { cli, folder, startDaemon, until } from './lib/daemon.mjs'
import { connect, enter } from './lib/lines.mjs'

let daemon
const clients = []
before(async () => (daemon = await startDaemon()))
after(() => clients.forEach((client) => client.close()))

async function worker(fields) {
  const client = await enter(daemon.worker, fields)
  clients.push(client)
  return client
}

async function raw(address = daemon.worker) {
  const client = await connect(address)
  clients.push(client)
  return client
}

const job = (jid, fields = {}) => JSON.stringify({ jid, jobtype: 'mail', args: [1], queue: 'q', ...fields })

test('the greeting names the version and nothing more without a password', async () => {
  const c = await raw()
  assert.equal(c.greeting, '+HI {"v":2}')
  assert.equal(await c.ask('HELLO {}'), '+OK')
  assert.equal(await c.ask('HELLO {}'), '-ERR unknown command HELLO')
})

test('whoever does not greet properly is shown out without a word', async () => {
  for (const line of ['PUSH {}', 'hello {}', 'HELLO  {}', 'HELLO []', 'HELLO {"pid":"x"}', 'HELLO {"v":-1}', 'HELLO {', 'HELLO', '', '\0', 'GET / HTTP/1.1']) {
    const c = await raw()
    c.send(line + '\r\n')
    assert.equal(await c.end(), '', line)
  }
})

test('the transcript of one job through retry and death', async () => {
  const c = await worker({ wid: 'w1', hostname: 'h', pid: 7, labels: ['x'] })
  assert.equal(await c.ask('PUSH {"jid":"j-00000001","jobtype":"mail","args":[1],"queue":"q","retry":1}'), '+OK')
  let got = await c.json('FETCH other q')
  assert.equal(got.jid, 'j-00000001')
  assert.deepEqual([got.queue, got.jobtype, got.args, got.retry, got.failure], ['q', 'mail', [1], 1, undefined])
  assert.match(got.created_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6,9}Z$/)
  assert.match(got.enqueued_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6,9}Z$/)
  assert.equal(await c.ask('FAIL {"jid":"j-00000001","errtype":"E","message":"m"}'), '+OK')
  assert.equal(await c.ask('ACK {"jid":"j-00000001"}'), '+OK')
  assert.equal(await c.ask('FAIL {"jid":"j-00000001"}'), '-ERR Job not found j-00000001')
  assert.equal((await c.json('INFO')).faktory.sets.retries, 1)
  assert.equal(await c.ask('BEAT {"wid":"w1","current_state":"quiet"}'), '{"state":"quiet"}')
  const began = Date.now()
  assert.equal(await c.ask('FETCH q'), null)
  assert.ok(Date.now() - began > 1900)
})

test('what a job brought comes back byte for byte', async () => {
  const c = await worker({ wid: 'w-exact' })
  const text = '"args":[12345678901234567890,1.0,"<\\u003c>",{"b":1,"a":[]}],"custom":{"x":1e400},"other":[1.50]'
  assert.equal(await c.ask(`PUSH {"jid":"exact-001","jobtype":"t","queue":"exact",${text}}`), '+OK')
  const got = await c.ask('FETCH exact')
  assert.ok(got.includes('"args":[12345678901234567890,1.0,"<\\u003c>",{"b":1,"a":[]}]'), got)
  assert.ok(got.includes('"custom":{"x":1e400}') && got.includes('"other":[1.50]'), got)
  assert.equal(await c.ask('ACK {"jid":"exact-001"}'), '+OK')
})

test('a push is checked in the order and with the words of the protocol', async () => {
  const c = await worker()
  const cases = [
    ['{"jobtype":"t","args":[]}', '-ERR jobs must have a reasonable jid parameter'],
    ['{"jid":"short-7","jobtype":"t","args":[]}', '-ERR jobs must have a reasonable jid parameter'],
    ['{"jid":"j-000000a","args":[]}', '-ERR jobs must have a jobtype parameter'],
    ['{"jid":"j-000000a","jobtype":"","args":[]}', '-ERR jobs must have a jobtype parameter'],
    ['{"jid":"j-000000a","jobtype":"t"}', '-ERR jobs must have an args parameter'],
    ['{"jid":"j-000000a","jobtype":"t","args":null}', '-ERR jobs must have an args parameter'],
    ['{"jid":"j-000000a","jobtype":"t","args":[],"reserve_for":86401}', '-ERR jobs cannot be reserved for more than one day'],
    ['{"jid":"j-000000a","jobtype":"t","args":[],"at":"soon"}', `-ERR invalid timestamp for 'at': "soon"`],
  ]
  for (const [text, answer] of cases) assert.equal(await c.ask('PUSH ' + text), answer, text)
  for (const text of ['', '[]', '"x"', 'null', '{"jid":', '{"jid":"j-000000a"} x', '{"jid":"j-000000a","jobtype":"t","args":{}}', '{"jid":"j-000000a","jobtype":"t","args":[],"custom":[]}', '{"jid":"j-\0"}', '{"jid":"\\uDFFF'])
    assert.match(await c.ask('PUSH ' + text), /^-ERR invalid JSON/, text)
  assert.match(await c.ask('PUSH {"jid":"j-000000a","jobtype":"t","args":[],"queue":"a b"}'), /^-ERR cannot get "a b" queue: queue names must match/)
  assert.match(await c.ask('PUSH {"jid":"j-000000a","jobtype":"posthouse.x","args":[]}'), /^-ERR /)
  assert.match(await c.ask(`PUSH {"jid":"j-000000a","jobtype":"t","args":["${'x'.repeat(2 << 20)}"]}`), /^-ERR job too big: \d+ bytes$/)
  assert.equal(await c.ask('PUSH {"jid":"j-000000a","jobtype":"t","args":[],"queue":"checked","priority":5,"retry":null}'), '+OK')
  assert.equal(await c.ask('PUSH {"jid":"j-000000a","jobtype":"t","args":[],"queue":"checked"}'), '+OK')
  assert.equal((await c.json('INFO')).faktory.queues.checked, 1)
})

test('a bulk push reports what it refused and takes the rest', async () => {
  const c = await worker()
  assert.equal(await c.ask('PUSHB []'), '{}')
  for (const text of ['', '{}', '[', 'null', '[1,2']) assert.equal(await c.ask('PUSHB ' + text), '-ERR invalid JSON')
  const jobs = `[${job('bulk-0001', { queue: 'bulk' })},null,{"jid":"bulk-0002"},${job('bulk-0003', { queue: 'bulk' })},{"jobtype":"t","args":[]}]`
  const rejected = await c.json('PUSHB ' + jobs)
  assert.deepEqual(Object.keys(rejected), ['', 'bulk-0002'])
  assert.equal(rejected['bulk-0002'], 'jobs must have a jobtype parameter')
  assert.equal(await c.ask(`PUSHB [${job('bulk-0004', { queue: 'bulk' })},{"jid":"bulk-0005"`), '-ERR invalid JSON')
  assert.equal((await c.json('INFO')).faktory.queues.bulk, 2) // nothing of an array without an end
  const many = Array.from({ length: 5000 }, (_, i) => job(`many-${String(i).padStart(6, '0')}`, { queue: 'many' }))
  assert.equal(await c.ask(`PUSHB [${many}]`), '{}')
  assert.equal((await c.json('INFO')).faktory.queues.many, 5000)
  const mixed = Array.from({ length: 600 }, (_, i) => (i % 2 ? job(`mixed-${i}-good`, { queue: 'mixed' }) : `{"jid":"mixed-${i}-poor"}`))
  assert.equal(Object.keys(await c.json(`PUSHB [${mixed}]`)).length, 300)
  assert.equal((await c.json('INFO')).faktory.queues.mixed, 300)
})

test('a unique job is refused with its own code while another one holds the lock', async () => {
  const c = await worker()
  const unique = (jid) => job(jid, { queue: 'uni', custom: { unique_for: 60 } })
  assert.equal(await c.ask('PUSH ' + unique('uni-00001')), '+OK')
  assert.equal(await c.ask('PUSH ' + unique('uni-00002')), '-NOTUNIQUE Job not unique')
  assert.equal(await c.ask(`PUSHB [${unique('uni-00003')}]`), '{"uni-00003":"NOTUNIQUE Job not unique"}')
  assert.equal(await c.ask('PUSH ' + job('uni-00004', { queue: 'uni' })), '+OK')
})

test('a fetch waits for a job on all its queues and gets it at once', async () => {
  const [w, p] = [await worker({ wid: 'w-wait' }), await worker()]
  w.send('FETCH wait-a wait-b\r\n')
  const began = Date.now()
  assert.equal(await p.ask('PUSH ' + job('wait-0001', { queue: 'wait-b' })), '+OK')
  assert.equal(JSON.parse(await w.answer()).jid, 'wait-0001')
  assert.ok(Date.now() - began < 1500)
  assert.equal(await w.ask('ACK {"jid":"wait-0001"}'), '+OK')
  assert.equal(await w.ask('FETCH'), '-ERR must call fetch with at least one queue')
})

test('queues are tried in the order given, first in first out inside', async () => {
  const c = await worker({ wid: 'w-order' })
  for (const [jid, queue] of [['ord-00001', 'ord-low'], ['ord-00002', 'ord-high'], ['ord-00003', 'ord-high']]) await c.ask('PUSH ' + job(jid, { queue }))
  for (const jid of ['ord-00002', 'ord-00003', 'ord-00001']) assert.equal((await c.json('FETCH ord-high ord-low')).jid, jid)
})

test('a job of a client that left while waiting or reading goes to the next one at once', async () => {
  const p = await worker()
  for (let i = 0; i < 20; i++) {
    const gone = await worker({ wid: 'w-gone' })
    gone.send('FETCH gone\r\n')
    gone.close()
    assert.equal(await p.ask('PUSH ' + job(`gone-${String(i).padStart(5, '0')}`, { queue: 'gone' })), '+OK')
    const w = await worker({ wid: 'w-gone' })
    const got = await w.json('FETCH gone')
    assert.equal(got.jid, `gone-${String(i).padStart(5, '0')}`)
    assert.equal(got.failure, undefined)
    assert.equal(await w.ask(`ACK {"jid":"${got.jid}"}`), '+OK')
    w.close()
  }
})

test('an ack of another worker is answered and changes nothing', async () => {
  const [a, b] = [await worker({ wid: 'w-a' }), await worker({ wid: 'w-b' })]
  assert.equal(await a.ask('PUSH ' + job('fence-001', { queue: 'fence' })), '+OK')
  assert.equal((await a.json('FETCH fence')).jid, 'fence-001')
  const working = (await a.json('INFO')).faktory.sets.working
  assert.equal(await b.ask('ACK {"jid":"fence-001"}'), '+OK')
  assert.equal((await a.json('INFO')).faktory.sets.working, working)
  const seen = async () => (await daemon.get('/v1/jobs/fence-001')).body.attempts.map(({ worker, outcome }) => [worker, outcome])
  assert.deepEqual(await seen(), [['w-b', 'late'], ['w-a', null]])
  assert.equal(await a.ask('ACK {"jid":"fence-001"}'), '+OK')
  assert.deepEqual(await seen(), [['w-b', 'late'], ['w-a', 'done']])
  assert.equal((await a.json('INFO')).faktory.sets.working, working - 1)
})

test('beats of a worker: known by its connection, forward only, unknown ones are told so', async () => {
  const c = await worker({ wid: 'w-beat' })
  assert.equal(await c.ask('BEAT {"wid":"w-beat","rss_kb":1000}'), '+OK')
  assert.equal(await c.ask('BEAT {"wid":"w-beat","current_state":"odd"}'), '+OK')
  assert.equal(await c.ask('BEAT {"wid":"w-beat","current_state":"terminate"}'), '{"state":"terminate"}')
  assert.equal(await c.ask('BEAT {"wid":"w-beat","current_state":"quiet"}'), '{"state":"terminate"}')
  assert.equal(await c.ask('BEAT {"wid":"nobody"}'), '-ERR unknown worker nobody')
  assert.equal(await c.ask('BEAT {}'), '-ERR invalid BEAT {}')
})

test('queues are paused, resumed, removed and measured', async () => {
  const c = await worker({ wid: 'w-queue' })
  await c.ask('PUSH ' + job('pause-001', { queue: 'pause' }))
  assert.equal(await c.ask('QUEUE PAUSE pause later'), '+OK')
  assert.equal(await c.ask('FETCH pause'), null)
  const latency = await c.json('QUEUE LATENCY pause nowhere')
  assert.ok(latency.pause > 1.5 && latency.pause < 60 && latency.nowhere === 0)
  assert.equal(await c.ask('QUEUE resume *'), '+OK')
  assert.equal((await c.json('FETCH pause')).jid, 'pause-001')
  assert.equal(await c.ask('QUEUE REMOVE pause unheard-of'), '+OK')
  assert.equal((await c.json('INFO')).faktory.queues.pause, undefined)
  assert.equal(await c.ask('QUEUE LATENCY *'), '-ERR QUEUE LATENCY does not support wildcards')
  assert.equal(await c.ask('QUEUE paint x'), '-ERR no such QUEUE subcommand: PAINT')
  assert.equal(await c.ask('QUEUE PAUSE'), '-ERR QUEUE PAUSE needs a queue name')
})

test('sets of jobs are killed, requeued, discarded and cleared', async () => {
  const daemon = await startDaemon()
  const c = await enter(daemon.worker, { wid: 'w-mutate' })
  const sets = async () => (({ scheduled, retries, dead }) => [scheduled, retries, dead])((await c.json('INFO')).faktory.sets)
  const mutate = (cmd, target, filter) => c.ask('MUTATE ' + JSON.stringify({ cmd, target, filter }))
  const at = new Date(Date.now() + 3600_000).toISOString()
  const later = Array.from({ length: 1200 }, (_, i) => job(`later-${String(i).padStart(5, '0')}`, { at, jobtype: i % 2 ? 'odd' : 'even', args: [i, 'x y'] }))
  assert.equal(await c.ask(`PUSHB [${later}]`), '{}')
  assert.deepEqual(await sets(), [1200, 0, 0])

  assert.equal(await mutate('kill', 'scheduled', { jobtype: 'odd' }), '+OK')
  assert.deepEqual(await sets(), [600, 0, 600])
  assert.equal(await mutate('discard', 'scheduled', { regexp: '*"args":\\[4,"x y"\\]*' }), '+OK')
  assert.deepEqual(await sets(), [599, 0, 600])
  assert.equal(await mutate('requeue', 'dead', { jids: ['later-00001', 'later-00002', 'never-was'] }), '+OK')
  assert.deepEqual(await sets(), [599, 0, 599])
  assert.equal((await c.json('FETCH q')).jid, 'later-00001')
  assert.equal(await c.ask('FAIL {"jid":"later-00001","errtype":"E","message":"m"}'), '+OK')
  assert.deepEqual(await sets(), [599, 1, 599])
  assert.equal(await mutate('kill', 'dead'), '+OK')
  assert.equal(await mutate('requeue', 'retries', { jids: 'later-00001' }), '+OK')
  const again = await c.json('FETCH q')
  assert.deepEqual([again.jid, again.failure.retry_count, again.failure.errtype], ['later-00001', 0, 'E'])
  assert.equal(await c.ask('ACK {"jid":"later-00001"}'), '+OK')
  assert.equal(await mutate('clear', 'scheduled', { jobtype: 'nothing' }), '+OK')
  assert.equal(await mutate('requeue', 'dead'), '+OK')
  assert.deepEqual(await sets(), [0, 0, 0])
  assert.equal((await c.json('INFO')).faktory.queues.q, 599)
  assert.equal(await mutate('melt', 'dead'), '-ERR unknown mutate operation')
  assert.equal(await mutate('kill', 'living'), '-ERR invalid target for mutation command')
  assert.equal(await c.ask('MUTATE'), '-ERR invalid format')
  await daemon.stop()
})

test('a flush wipes everything but workers, and only where it is allowed', async () => {
  const daemon = await startDaemon()
  const [c, w] = [await enter(daemon.worker), await enter(daemon.worker, { wid: 'w-flush' })]
  const fill = async () => {
    const at = new Date(Date.now() + 3600_000).toISOString()
    const jobs = [job('flush-001'), job('flush-002', { retry: -1 }), job('flush-003'), job('flush-004', { at }), job('flush-005'), job('flush-006', { queue: 'other', custom: { unique_for: 600 } })]
    assert.equal(await c.ask(`PUSHB [${jobs}]`), '{}')
    for (const jid of ['flush-001', 'flush-002', 'flush-003']) assert.equal((await w.json('FETCH q')).jid, jid)
    for (const jid of ['flush-001', 'flush-002']) assert.equal(await w.ask(`FAIL {"jid":"${jid}"}`), '+OK')
    assert.equal((await w.json('FETCH q')).jid, 'flush-005')
    assert.equal(await w.ask('ACK {"jid":"flush-005"}'), '+OK')
    const { queues, sets, total_failures, total_processed } = (await c.json('INFO')).faktory
    assert.deepEqual([queues, sets], [{ other: 1, q: 0 }, { scheduled: 1, retries: 1, dead: 1, working: 1 }])
    assert.deepEqual([total_failures, total_processed], [2, 3])
  }
  for (let round = 0; round < 3; round++) {
    await fill()
    assert.equal(await c.ask('FLUSH'), '+OK')
    const { queues, sets, tasks, total_failures, total_processed } = (await c.json('INFO')).faktory
    assert.deepEqual([queues, sets], [{}, { scheduled: 0, retries: 0, dead: 0, working: 0 }])
    assert.deepEqual([total_failures, total_processed, tasks.Workers.size], [0, 0, 1])
    assert.equal(await w.ask('FAIL {"jid":"flush-003"}'), '-ERR Job not found flush-003')
  }
  await daemon.restart()
  const again = await enter(daemon.worker)
  assert.deepEqual((await again.json('INFO')).faktory.queues, {})
  await daemon.stop()

  const strict = await startDaemon({ dev: false })
  const s = await enter(strict.worker)
  assert.equal(await s.ask('FLUSH'), '-ERR FLUSH is disabled')
  await strict.stop()
})

test('the information document has what clients look for', async () => {
  const c = await worker({ wid: 'w-info' })
  const info = await c.json('INFO and more')
  assert.deepEqual(Object.keys(info), ['now', 'server_utc_time', 'faktory', 'server'])
  assert.match(info.server_utc_time, /^\d\d:\d\d:\d\d UTC$/)
  for (const task of ['Scheduled', 'Retries', 'Dead', 'Busy', 'Workers']) assert.ok(Number.isInteger(info.faktory.tasks[task].size), task)
  for (const field of ['total_failures', 'total_processed', 'total_enqueued', 'total_queues']) assert.ok(Number.isInteger(info.faktory[field]), field)
  assert.match(info.server.faktory_version, /^1\.(8|9|\d\d)\.\d+$/)
  assert.ok(info.server.uptime >= 1 && info.server.connections >= 1 && info.server.command_count >= 1)
  assert.equal(info.server.description, 'Posthouse')
})

// --- junk ---

test('every command of a worker is a sign of its life', async () => {
  const c = await worker({ wid: 'w-signs' })
  const seen = async () => (await daemon.get('/v1/workers')).body.items.find(({ id }) => id === 'w-signs').seen_at
  let last = await seen()
  for (const line of ['INFO', `PUSH ${job('job-sign1', { queue: 'signs' })}`, `PUSHB [${job('job-sign2', { queue: 'signs' })}]`, 'FETCH signs', 'ACK {"jid":"job-sign1"}',
    'FETCH signs', 'FAIL {"jid":"job-sign2"}', 'TRACK GET job-sign1', 'QUEUE LATENCY signs', 'BATCH NEW {"success":{"jobtype":"t","args":[]}}', 'BEAT {"wid":"w-signs"}',
    'MUTATE {"cmd":"clear","target":"retries"}']) {
    await until(async () => (await c.ask(line), (await seen()) > last), 5000, () => line)
    last = await seen()
  }
})

test('ten thousand commands in one write are answered in their order', async () => {
  const c = await worker({ wid: 'w-pipe' })
  const lines = []
  for (let i = 0; i < 10_000; i++) lines.push(i % 10 === 9 ? 'nonsense' + i : 'PUSH ' + job(`pipe-${String(i).padStart(6, '0')}`, { queue: 'pipe' }))
  c.send(lines.join('\r\n') + '\r\nFETCH pipe\r\nACK {"jid":"pipe-000000"}\r\nINFO\r\nEND\r\nINFO\r\n')
  for (let i = 0; i < 10_000; i++) assert.equal(await c.answer(), i % 10 === 9 ? '-ERR unknown command nonsense' + i : '+OK')
  assert.equal(JSON.parse(await c.answer()).jid, 'pipe-000000')
  assert.equal(await c.answer(), '+OK')
  assert.equal(JSON.parse(await c.answer()).faktory.queues.pipe, 8999)
  assert.equal(await c.end(), '')
})

test('bare verbs, NUL, half lines and wrong types are answered and the connection goes on', async () => {
  const c = await worker({ wid: 'w-junk' })
  const answers = {
    '': '-ERR unknown command ',
    push: '-ERR unknown command push',
    ACK: '-ERR invalid ACK ',
    FAIL: '-ERR invalid FAIL ',
    BEAT: '-ERR invalid BEAT ',
    QUEUE: '-ERR no such QUEUE subcommand: ',
    'ACK {"jid":5}': '-ERR invalid ACK {"jid":5}',
    'ACK {"jid":""}': '+OK',
    'ACK {"jid":"never-was"}': '+OK',
    'FAIL {}': '-ERR missing JID',
    'FAIL {"jid":"never-was"}': '-ERR Job not found never-was',
    'FAIL {"jid":[]}': '-ERR invalid FAIL {"jid":[]}',
  }
  for (const [line, answer] of Object.entries(answers)) assert.equal(await c.ask(line), answer, line)
  assert.match(await c.ask('PUSH\0{}'), /^-ERR unknown command PUSH\?\{\}$/)
  for (const byte of 'PUSH ' + job('slow-0001', { queue: 'slow' }) + '\n') c.send(byte)
  assert.equal(await c.answer(), '+OK')
})

test('a line of sixteen mebibytes is refused or taken, and nobody else waits for it', async () => {
  const [big, other] = [await worker(), await worker({ wid: 'w-other' })]
  big.send('PUSH {"jid":"big-00001","jobtype":"t","args":["')
  const piece = Buffer.alloc(1 << 20, 'x')
  for (let i = 0; i < 15; i++) {
    big.send(piece)
    const began = Date.now()
    assert.equal(await other.ask('ACK {"jid":""}'), '+OK')
    assert.ok(Date.now() - began < 2000)
  }
  big.send('"]}\r\n')
  assert.match(await big.answer(), /^-ERR job too big: \d+ bytes$/)
  assert.equal(await big.ask('ACK {"jid":""}'), '+OK')

  big.send(Buffer.alloc(17 << 20, 'y'))
  assert.equal(await big.answer(), '-ERR command too long')
  assert.equal(await big.end(), '')
  assert.equal(await other.ask('ACK {"jid":""}'), '+OK')
})

test('a hundred connections full of random bytes leave the others alone', async () => {
  const other = await worker({ wid: 'w-calm' })
  const noise = (n) => Buffer.from(Array.from({ length: n }, () => Math.floor(Math.random() * 256)))
  for (let i = 0; i < 100; i++) {
    const c = i % 2 ? await worker() : await raw()
    c.send(noise(5000))
    c.send('\r\n')
    if (i % 3 === 0) c.close()
  }
  assert.equal(await other.ask('ACK {"jid":""}'), '+OK')
  assert.ok(daemon.running)
})

// --- password ---

function hashed(password, { s, i }) {
  let hash = createHash('sha256').update(password).update(s).digest()
  for (let n = 1; n < i; n++) hash = createHash('sha256').update(hash).digest()
  return hash.toString('hex')
}

test('a password is asked for, hashed as often as the greeting says', async () => {
  const locked = await startDaemon({ config: '[worker]\npassword = s3cret wörd\n' })
  const greet = async () => {
    const c = await raw(locked.worker)
    return [c, JSON.parse(c.greeting.replace('+HI ', ''))]
  }
  let [c, greeting] = await greet()
  assert.equal(greeting.v, 2)
  assert.ok(Number.isInteger(greeting.i) && greeting.i >= 4000 && greeting.s.length >= 16)
  assert.equal(await c.hello({ pwdhash: hashed('s3cret wörd', greeting) }), '+OK')
  ;[c, greeting] = await greet()
  assert.equal(await c.ask('HELLO ' + JSON.stringify({ pwdhash: hashed('s3cret wörd', { ...greeting, i: 1 }) })), '+OK')
  ;[c, greeting] = await greet()
  assert.equal(await c.hello({ pwdhash: hashed('wrong', greeting) }), '-ERR Invalid password')
  assert.equal(await c.end(), '')
  ;[c] = await greet()
  assert.equal(await c.hello(), '-ERR Invalid password')
  await locked.stop()
})

test('a door that others could reach is not opened without a password', () => {
  const refused = cli(['serve', '--dev', '--data', folder(), '--http', '127.0.0.1:0', '--worker', '0.0.0.0:0'])
  assert.equal(refused.status, 2)
  assert.match(refused.stderr, /refusing to open the door for workers on 0\.0\.0\.0:0 without a password/)
})

test('with require_v2_auth the hash of old clients is not enough', async () => {
  const strict = await startDaemon({ config: '[worker]\npassword = s3cret\nrequire_v2_auth = true\n' })
  const c = await raw(strict.worker)
  const greeting = JSON.parse(c.greeting.replace('+HI ', ''))
  assert.equal(await c.ask('HELLO ' + JSON.stringify({ pwdhash: hashed('s3cret', { ...greeting, i: 1 }) })), '-ERR Invalid password')
  await strict.stop()
})

// --- stop ---

test('a daemon that stops hears the acks of its workers and nothing new', async () => {
  const daemon = await startDaemon()
  const [busy, idle, p] = [await enter(daemon.worker, { wid: 'w-busy' }), await enter(daemon.worker, { wid: 'w-idle' }), await enter(daemon.worker)]
  assert.equal(await p.ask(`PUSHB [${job('stop-0001', { queue: 'stop' })},${job('stop-0002', { queue: 'stop' })}]`), '{}')
  assert.equal((await busy.json('FETCH stop')).jid, 'stop-0001')
  idle.send('FETCH elsewhere\r\n')
  daemon.signal('SIGTERM')
  assert.equal(await idle.answer(), null)
  await until(async () => (await p.ask('PUSH ' + job('stop-0003'))) === '-ERR shutdown in progress')
  assert.equal(await busy.ask('FETCH stop'), '-ERR shutdown in progress')
  assert.equal(await busy.ask('BEAT {"wid":"w-busy"}'), '{"state":"quiet"}')
  assert.equal(await busy.ask('ACK {"jid":"stop-0001"}'), '+OK')
  assert.equal((await daemon.ended).code, 0)

  await daemon.start()
  const again = await enter(daemon.worker, { wid: 'w-busy' })
  const got = await again.json('FETCH stop')
  assert.deepEqual([got.jid, got.failure], ['stop-0002', undefined])
  const { faktory } = await again.json('INFO')
  assert.deepEqual([faktory.sets.working, faktory.queues.stop, faktory.total_failures], [1, 0, 0])
  await daemon.kill()
})

test('a second SIGTERM does not wait for leases, which stand when it is back', async () => {
  const daemon = await startDaemon()
  const busy = await enter(daemon.worker, { wid: 'w-busy' })
  assert.equal(await busy.ask('PUSH ' + job('hurry-001', { queue: 'hurry' })), '+OK')
  assert.equal((await busy.json('FETCH hurry')).jid, 'hurry-001')
  daemon.signal('SIGTERM')
  await until(async () => (await busy.ask('FETCH hurry')) === '-ERR shutdown in progress')
  daemon.signal('SIGTERM')
  assert.equal((await daemon.ended).code, 0)
  await daemon.start()
  const again = await enter(daemon.worker, { wid: 'w-busy' })
  assert.equal((await again.json('INFO')).faktory.sets.working, 1)
  assert.equal(await again.ask('ACK {"jid":"hurry-001"}'), '+OK')
  const { faktory } = await again.json('INFO')
  assert.deepEqual([faktory.sets.working, faktory.total_processed, faktory.total_failures], [0, 1, 0])
  await daemon.kill()
})

test('what was answered is there after a kill, and reservations are kept', async () => {
  const daemon = await startDaemon()
  let c = await enter(daemon.worker, { wid: 'w-kill' })
  for (let i = 0; i < 20; i++) assert.equal(await c.ask('PUSH ' + job(`kill-${String(i).padStart(4, '0')}`, { queue: 'kill' })), '+OK')
  assert.equal((await c.json('FETCH kill')).jid, 'kill-0000')
  assert.equal(await c.ask('ACK {"jid":"kill-0000"}'), '+OK')
  assert.equal((await c.json('FETCH kill')).jid, 'kill-0001')
  assert.equal(await c.ask('ACK {"jid":""}'), '+OK')
  await daemon.kill()
  await daemon.start()
  c = await enter(daemon.worker, { wid: 'w-kill' })
  const { faktory } = await c.json('INFO')
  assert.deepEqual([faktory.queues.kill, faktory.sets.working], [18, 1])
  assert.equal(await c.ask('ACK {"jid":"kill-0001"}'), '+OK')
  assert.equal(await c.ask('PUSH ' + job('kill-0005', { queue: 'kill' })), '+OK')
  assert.equal((await c.json('FETCH kill')).jid, 'kill-0002')
  assert.equal((await c.json('INFO')).faktory.queues.kill, 17)
  await daemon.kill()
})

// Which store is behind the doors cannot be told by what they answer: the same requests go to a daemon on SQLite and to
// one on PostgreSQL, and the two transcripts are compared to the letter. Only what differs between any two daemons is
// replaced: instants, figures that are measured, and names made by chance, each by the order in which it came.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { folder, startDaemon, until } from './lib/daemon.mjs'
import { enter } from './lib/lines.mjs'
import { postgres, skip } from './lib/postgres.mjs'

const MEASURED = /("(?:latency_seconds|in_per_minute|out_per_minute|eta_seconds|uptime|used_memory_mb|pid)":)[-\d.e]+/g
const INSTANT = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g
const CLOCK = /\b\d\d:\d\d:\d\d UTC\b/g
// Jids, batches, runs; leases and cursors.
const MADE = /(?<![\w-])(?:[br]-\w{6,}|[\w-]{22,})(?![\w-])/g

class Witness {
  constructor(daemon) {
    this.daemon = daemon
    this.names = new Map()
    this.said = []
  }

  like(text) {
    const name = (found) => this.names.get(found) ?? (this.names.set(found, `<made ${this.names.size + 1}>`), this.names.get(found))
    return text.replace(MEASURED, '$1<measured>').replace(INSTANT, (_, fraction = '') => `<instant${'0'.repeat(fraction.length)}>`).replace(CLOCK, '<clock>').replace(MADE, name)
  }

  note(asked, answered) {
    this.said.push(`${this.like(asked)} -> ${this.like(answered)}`)
  }

  // One request; its answer as daemon.request gives it.
  async http(method, path, body, options = {}) {
    const answer = await this.daemon.request(method, path, { body, ...options })
    const headers = ['content-type', 'allow', 'location', 'retry-after'].flatMap((name) => (answer.headers.has(name) ? [`${name}: ${answer.headers.get(name)}`] : []))
    const sent = body === undefined ? '' : ` ${typeof body === 'string' ? body : JSON.stringify(body)}`
    this.note(`${method} ${path}${sent}`, `${answer.status} ${headers.join(', ')} ${answer.text}`)
    return answer
  }
  get(path) {
    return this.http('GET', path)
  }
  post(path, body, options) {
    return this.http('POST', path, body, options)
  }
  put(path, body) {
    return this.http('PUT', path, body)
  }
  patch(path, body) {
    return this.http('PATCH', path, body)
  }
  delete(path) {
    return this.http('DELETE', path)
  }
  lines(path, lines) {
    return this.http('POST', path, lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line)) + '\n').join(''), { type: 'application/x-ndjson' })
  }

  // Asked until it is as wanted; only the last answer is noted, for how often it takes is a matter of time.
  async soon(path, wanted) {
    await until(async () => wanted((await this.daemon.get(path)).body))
    return this.get(path)
  }

  // A connection of the worker door, whose answers are noted, too.
  async worker(fields) {
    const client = await enter(this.daemon.worker, fields)
    const ask = async (command) => {
      const answer = await client.ask(command)
      this.note(command, `${answer}`)
      return answer
    }
    return { ask, close: () => client.close() }
  }
}

let daemons
before(async () => {
  if (skip) return
  const database = await (await postgres()).database()
  daemons = await Promise.all([startDaemon({ data: folder() }), startDaemon({ database })])
})
after(async () => {
  for (const daemon of daemons ?? []) await daemon.stop()
})

// The same story is told to both.
function story(name, tell) {
  test(name, { skip }, async () => {
    const witnesses = daemons.map((daemon) => new Witness(daemon))
    for (const witness of witnesses) await tell(witness)
    const [sqlite, onPostgres] = witnesses.map(({ said }) => said)
    assert.ok(sqlite.length > 0)
    onPostgres.forEach((line, i) => assert.equal(line, sqlite[i]))
    assert.equal(onPostgres.length, sqlite.length)
  })
}

const fetched = async (w, body) => (await w.post('/v1/jobs/fetch', body)).body.jobs

story('jobs are pushed, refused and shown alike', async (w) => {
  const job = (more) => ({ jobtype: 'mail', queue: 'push', args: [1], ...more })
  for (const more of [{ jid: 'push-0001' }, { jid: 'push-0001' }, { jid: 'push-0001', args: [2] }, { jid: 'short' }, { jid: 7 }, { args: {} }, { args: null }, { jobtype: '' },
    { jobtype: 'posthouse.x' }, { queue: 'a b' }, { queue: '' }, { queue: 'q'.repeat(129) }, { retry: 'x' }, { retry: -2 }, { retry: 0, jid: 'push-0002' }, { at: 'soon' }, { at: '2099-01-01T00:00:00Z', jid: 'push-0003' },
    { at: '2001-01-01T00:00:00+02:00', jid: 'push-0004' }, { reserve_for: 86401 }, { priority: 5 }, { priority: 10 }, { timeout: '0s' }, { timeout: '90s', jid: 'push-0005' },
    { mutex: '' }, { mutex: 'm', jid: 'push-0006' }, { mutex: 'm', jid: 'push-0007' }, { key: 'k'.repeat(300) }, { key: 'tenant-7', jid: 'push-0008' }, { batch: 'b-none' },
    { expires_at: '2001-01-01T00:00:00Z', jid: 'push-0009' }, { expires_at: 'never' }, { unique: { for: '1s' } }, { unique: { for: 'x' } }, { unique: { for: '10m', until: 'never' } },
    { unique: { for: '10m' }, jid: 'push-0010', args: ['u'] }, { unique: { for: '10m' }, jid: 'push-0011', args: ['u'] }, { unique: { for: '10m', on_conflict: 'return' }, jid: 'push-0012', args: ['u'] },
    { unique: { for: '10m', on_conflict: 'replace' }, jid: 'push-0013', args: ['u'] }, { unique: { for: '10m', on_conflict: 'extend' }, jid: 'push-0014', args: ['u'] },
    { custom: [] }, { custom: { posthouse: { key: 'c' } }, jid: 'push-0015' }, { other: [1.50], jid: 'push-0016' }]) await w.post('/v1/jobs', job(more))
  for (const body of ['', '{', 'null', '[]', '7', '{"jid":"push-0099"} x', '[{}', '{"jobtype":"a","args":[],"jid":"nul-\\u0000-0001"}', '{"jobtype":"a\\u0000","args":[],"jid":"push-0098"}', '{"jobtype":"ü€","queue":"push","args":[12345678901234567890,1.0,"<\\u003c>"],"jid":"push-ü-€"}'])
    await w.post('/v1/jobs', body, { type: 'application/json' })
  await w.post('/v1/jobs', [job({ jid: 'push-0021' }), job({ jid: 'push-0021' }), job({ jid: 'x' }), null, 7, job({ jid: 'push-0022', batch: 'b-none' })])
  await w.lines('/v1/jobs', [job({ jid: 'push-0023' }), '', '{"jid":', job({ args: {} }), 'null', job({ jid: 'push-0023' }), job({ unique: { for: '10m' }, jid: 'push-0024', args: ['u'] }), job({ jid: 'push-0025', colour: 1 })])
  for (let i = 1; i <= 25; i++) await w.get(`/v1/jobs/push-${String(i).padStart(4, '0')}`)
  await w.get(`/v1/jobs/${encodeURIComponent('push-ü-€')}`)
  for (const path of ['/v1/jobs/none-0001', '/v1/jobs/', '/v1/jobs/%00', '/v1/jobs/%FF%FE', `/v1/jobs/${'j'.repeat(300)}`]) await w.get(path)
})

// Of one key each queue: lanes of several stand in an order that each store has for itself.
story('lists of jobs have the same items, order and pages', async (w) => {
  for (let i = 0; i < 7; i++) await w.post('/v1/jobs', { jid: `list-000${i}`, jobtype: i % 2 ? 'odd' : 'even', queue: 'list', args: [`text ${i}`], key: 'k1', ...(i > 4 ? { at: `2099-01-0${i}T00:00:00Z` } : {}) })
  for (const filter of ['queue=list', 'queue=list&state=ready', 'queue=list&state=scheduled', 'state=retry', 'state=blocked', 'state=dead', 'state=leased', 'queue=list&type=odd', 'queue=list&key=k1', 'queue=list&text=text%203',
    'queue=none', 'state=nonsense', 'queue=list&limit=0', 'queue=list&limit=1001', 'queue=list&after=nonsense', 'queue=list&text=%00', 'queue=%FF'])
    await w.get(`/v1/jobs?${filter}`)
  for (const filter of ['queue=list', 'queue=list&state=ready', 'queue=list&state=scheduled']) {
    let after = ''
    for (let page = 0; page < 5 && after !== null; page++) after = (await w.get(`/v1/jobs?${filter}&limit=3${after && `&after=${after}`}`)).body.next
  }
})

story('jobs are fetched, acked, failed, extended and given back alike', async (w) => {
  for (let i = 0; i < 9; i++) await w.post('/v1/jobs', { jid: `work-000${i}`, jobtype: 'a', queue: 'work', args: [i], retry: i === 3 ? 0 : i === 4 ? -1 : 3 })
  for (const body of [{}, { queues: [] }, { queues: ['work'], max: 0 }, { queues: ['work'], max: 1001 }, { queues: ['work'], wait: '31s' }, { queues: ['work'], order: 'odd' }, { queues: ['work'], nope: 1 }, { queues: ['none'] }, { queues: 'work' }])
    await w.post('/v1/jobs/fetch', body)
  const jobs = await fetched(w, { queues: ['work', 'none'], max: 8, worker: 'w-work' })
  const lease = (i) => jobs[i].lease
  await w.get('/v1/jobs/work-0000')
  await w.get('/v1/jobs?queue=work&state=leased')
  for (const body of [{}, { leases: [] }, { leases: 'x' }, { leases: ['', 'none', lease(0), lease(0)] }, { leases: [lease(0)] }]) await w.post('/v1/jobs/ack', body)
  for (const failure of [{}, { lease: '' }, { lease: lease(1), final: 1 }, { lease: lease(1), nope: 1 }, { lease: lease(1), snooze: '8d' }, { lease: lease(1), retry_in: 'x' }, { lease: lease(1), errtype: 'Boom', message: 'ü no luck\n', backtrace: ['a', 'b'] },
    { lease: lease(1) }, { lease: lease(2), final: true, message: 'for good' }, { lease: lease(3) }, { lease: lease(4), errtype: '' }, { lease: lease(5), retry_in: '1h' }, { lease: lease(6), snooze: '1h' }])
    await w.post('/v1/jobs/fail', { failures: [failure] })
  for (const body of [{ lease: lease(7), for: '1h', percent: 50, desc: 'half' }, { lease: lease(7), for: '2d' }, { lease: lease(7) }, { lease: lease(0), for: '1h' }, { lease: 'none', for: '1h' }, { lease: lease(7), for: '1h', percent: 101 }]) await w.post('/v1/jobs/extend', body)
  for (let i = 0; i < 9; i++) await w.get(`/v1/jobs/work-000${i}`)
  for (const state of ['ready', 'leased', 'retry', 'scheduled', 'dead', 'done']) await w.get(`/v1/jobs?queue=work&state=${state}`)
})

story('an operator moves jobs alike, and is refused alike', async (w) => {
  const act = (jid, action, body = {}) => w.post(`/v1/jobs/${jid}/${action}`, body)
  for (let i = 0; i < 5; i++) await w.post('/v1/jobs', { jid: `move-000${i}`, jobtype: 'a', queue: 'move', args: [], retry: 2, ...(i === 1 ? { at: '2099-01-01T00:00:00Z' } : {}) })
  const [leased, failing] = await fetched(w, { queues: ['move'], max: 2 })
  await w.post('/v1/jobs/fail', { failures: [{ lease: failing.lease, errtype: 'E' }] })
  for (const action of ['retry', 'run', 'kill', 'cancel', 'eat']) await act('none-0001', action)
  for (const jid of ['move-0000', 'move-0001', failing.jid, 'move-0003', 'move-0004'])
    for (const action of ['retry', 'run', 'kill', 'kill', 'run', 'retry', 'cancel', 'cancel', 'kill', 'retry']) {
      await act(jid, action)
      await w.get(`/v1/jobs/${jid}`)
    }
  await w.post('/v1/jobs/ack', { leases: [leased.lease] })
  await w.get('/v1/queues/move')
})

story('an action on many jobs says, shows and does the same', async (w) => {
  for (const body of [{}, { action: 'retry' }, { action: 'eat', all: true }, { action: 'kill', filter: { state: 'done' } }, { action: 'kill', filter: { sate: 'dead' } }, { action: 'kill', filter: { before: 'x' } }, { action: 'kill', filter: {} }])
    await w.post('/v1/jobs/bulk', body)
  const run = async (body) => {
    const { jid } = (await w.post('/v1/jobs/bulk', body)).body
    await w.soon(`/v1/jobs/${jid}`, ({ state }) => state === 'done')
    for (const queue of ['many', 'many-keyed']) await w.get(`/v1/queues/${queue}`)
  }
  const where = (i) => (i % 7 === 1 ? { queue: 'many-keyed', key: 'k1' } : i % 5 ? { queue: 'many' } : { queue: 'many', mutex: 'm' })
  const lines = Array.from({ length: 1200 }, (_, i) => ({ jid: `many-${String(i).padStart(5, '0')}`, jobtype: i % 2 ? 'odd' : 'even', args: [], retry: i % 3 ? 5 : -1, ...where(i) }))
  await w.lines('/v1/jobs', lines)
  await run({ action: 'kill', filter: { type: 'odd' } })
  await run({ action: 'retry', filter: { state: 'dead', key: 'k1' } })
  for (let left = 4; left > 0; left--) {
    const failures = (await w.daemon.post('/v1/jobs/fetch', { queues: ['many'], max: 150 })).body.jobs.map(({ lease }, i) => ({ lease, errtype: i % 2 ? 'Odd' : 'Even' }))
    await w.daemon.post('/v1/jobs/fail', { failures })
  }
  await w.get('/v1/queues/many')
  await run({ action: 'retry', filter: { state: 'retry', queue: 'many', errtype: 'Odd' } })
  await run({ action: 'run', filter: { state: 'retry', queue: 'many' } })
  await run({ action: 'retry', filter: { state: 'dead', queue: 'many' } })
  await run({ action: 'cancel', filter: { queue: 'many', jids: ['many-00000', 'many-00001', 'many-none', 'many-00002'] } })
  await run({ action: 'cancel', filter: { queue: 'many', type: 'even', text: '00' } })
  await run({ action: 'cancel', filter: { queue: 'many' } })
  for (let i = 0; i < 1200; i += 97) await w.get(`/v1/jobs/${lines[i].jid}`)
})

story('queues and budgets are set, shown, drained and deleted alike', async (w) => {
  await w.get('/v1/queues/none')
  const words = { concurrency: 5, node_concurrency: 3, worker_concurrency: 2, rate: { limit: 40, per: '60s', burst: 2 }, budget: 'db', budget_cost: 2, weight: 7, key_concurrency: 2, key_rate: { limit: 7, per: '1s' },
    keys: { 'tenant-7': { weight: 3, concurrency: 4 } }, priorities: true, ageing: '1m', max_queued: 1000, max_bytes: 100000, max_age: '1h', lease: '2m', timeout: '1m', retry: { max: 3, backoff: 'list', delays: ['5s', '5m'] },
    crash_limit: 9, retain: { done: '1h', done_max: 10, dead: '7d' }, recover_lost_workers: false, handler: { kind: 'pull' }, paused: true }
  for (const body of [{ concurrency: 2, cpu_share: 0.2 }, { cpu_share: 2 }, { nope: 1 }, { rate: { limit: 5, per: '1s', burst: 6 } }, { concurrency: 10, rate: { limit: 40, per: '60s' } }]) await w.put('/v1/budgets/db', body)
  for (const [word, value] of Object.entries(words)) {
    await w.patch('/v1/queues/set', { [word]: value })
    for (const bad of [-1, 'x', 1.5, [], { nope: 1 }, null]) await w.patch('/v1/queues/set-bad', { [word]: bad })
  }
  for (const body of ['', '[]', 'null', '{}', '{"nope":1,"concurrency":-1}', '{"ready":1}', '{"version":1}']) await w.http('PATCH', '/v1/queues/set', body, { type: 'application/json' })
  await w.get('/v1/queues/set')
  for (const path of ['/v1/budgets', '/v1/budgets/db', '/v1/budgets/none', '/v1/budgets/background']) await w.get(path)
  for (const id of ['db', 'none', 'background', 'keep']) await w.delete(`/v1/budgets/${id}`)
  await w.patch('/v1/queues/set', Object.fromEntries(Object.keys(words).map((word) => [word, null])))
  await w.get('/v1/queues/set')
  await w.delete('/v1/budgets/db')
  await w.patch('/v1/queues/full', { max_queued: 2 })
  for (let i = 0; i < 3; i++) await w.post('/v1/jobs', { jid: `full-000${i}`, jobtype: 'a', queue: 'full', args: [] })
  for (const queue of ['full', 'none', 'posthouse.background']) await w.post(`/v1/queues/${queue}/drain`, {})
  await w.post('/v1/jobs', { jid: 'full-0009', jobtype: 'a', queue: 'full', args: [] })
  await w.get('/v1/queues/full')
  for (const queue of ['full', 'full', 'none', 'posthouse.background', 'set', 'set-bad']) await w.delete(`/v1/queues/${queue}`)
  await w.get('/v1/jobs/full-0000')
  await w.get('/v1/queues')
  await w.get('/v1/queues?limit=2')
})

story('schedules come, go, are refused and run alike', async (w) => {
  const job = { jobtype: 'tick', queue: 'ticks', args: [1] }
  const put = (id, body) => w.put(`/v1/schedules/${id}`, body)
  for (const more of [{}, { cron: '@daily' }, { cron: '1 2 3 4', job }, { cron: '61 * * * *', job }, { cron: '@daily', job, timezone: 'BST' }, { cron: '@daily', job, timezone: 'Europe/Lodnon' }, { cron: '@daily', job, nonsense: 1 }, { cron: '@daily', job, after: 'nobody' },
    { cron: '@daily', job, overlap: 'often' }, { cron: '@daily', job, jitter: '2d' }, { cron: '@daily', job: { jobtype: 'posthouse.own', args: [] } }, { cron: '@daily', job: { jobtype: 'a', args: {} } }]) await put('bad', more)
  await put('nightly', { cron: '30 1 1 1 *', timezone: 'Europe/London', job, overlap: 'queue', catch_up: 'none', jitter: '5m' })
  await put('after', { cron: '@yearly', job, after: 'nightly' })
  for (const id of ['nightly', 'after', 'bad', 'keep.log', 'keep.keys', 'keep.parked']) await w.get(`/v1/schedules/${id}`)
  for (const [id, body] of [['nightly', { at: '2026-03-29T01:00:00Z' }], ['nightly', { at: 'noon' }], ['nobody', {}], ['nightly', { nope: 1 }]]) await w.post(`/v1/schedules/${id}/run`, body)
  for (const { lease } of await fetched(w, { queues: ['ticks'] })) await w.post('/v1/jobs/ack', { leases: [lease] })
  await w.get('/v1/schedules/nightly')
  for (const id of ['nightly', 'after', 'nightly', 'nightly', 'keep.log']) await w.delete(`/v1/schedules/${id}`)
  await w.get('/v1/schedules')
})

story('batches are made, filled, called and shown alike', async (w) => {
  const call = (jobtype) => ({ jobtype, args: [1], queue: 'calls' })
  for (const body of [{}, { description: 'none' }, { success: { jobtype: 'S', args: {} } }, { success: call('S'), parent: 'b-none' }, { success: call('S'), nope: 1 }, { success: 7 }]) await w.post('/v1/batches', body)
  const { id } = (await w.post('/v1/batches', { description: 'Letters ü', complete: call('C'), success: call('S') })).body
  const child = (await w.post('/v1/batches', { success: call('KS'), parent: id })).body.id
  for (const [jid, batch] of [['batch-001', id], ['batch-002', id], ['batch-003', child]]) await w.post('/v1/jobs', { jid, jobtype: 'letter', queue: 'letters', args: [], batch, retry: 0 })
  const look = async () => {
    for (const one of [id, child]) await w.get(`/v1/batches/${one}`)
  }
  for (const [one, body] of [[id, {}], [id, { committed: true }], [id, { committed: true }], [child, { committed: true }], ['b-none', { open: true }], [id, { nope: 1 }], [id, { open: true }], [id, { committed: true }]]) await w.patch(`/v1/batches/${one}`, body)
  await look()
  const [first, second, third] = await fetched(w, { queues: ['letters'], max: 10 })
  await w.post('/v1/jobs/ack', { leases: [first.lease] })
  await w.post('/v1/jobs/fail', { failures: [{ lease: second.lease }] })
  await look()
  await w.post('/v1/jobs/ack', { leases: [third.lease] })
  for (let i = 0; i < 4; i++) {
    for (const { lease } of await fetched(w, { queues: ['calls'], max: 10 })) await w.post('/v1/jobs/ack', { leases: [lease] })
    await look()
  }
  await w.get('/v1/batches/b-none')
})

story('workers beat, rest and are listed alike', async (w) => {
  for (const body of [{}, { current_state: 'quiet' }, { rss_kb: 7 }, { nope: 1 }]) await w.post('/v1/workers/w-http/beat', body)
  for (const [id, verb] of [['w-http', 'quiet'], ['none', 'quiet'], ['w-http', 'terminate'], ['none', 'terminate']]) await w.post(`/v1/workers/${id}/${verb}`, {})
  await w.post('/v1/workers/w-http/beat', {})
  await w.get('/v1/workers')
})

story('the worker door answers every verb alike', async (w) => {
  const c = await w.worker({ wid: 'w-door', hostname: 'h', pid: 7, labels: ['x'] })
  const job = (jid, more = {}) => JSON.stringify({ jid, jobtype: 'mail', args: [1], queue: 'door', ...more })
  for (const text of ['', '[]', '{', 'null', '{"jobtype":"t","args":[]}', '{"jid":"short","jobtype":"t","args":[]}', '{"jid":"door-0000","args":[]}', '{"jid":"door-0000","jobtype":"t"}', job('door-0000', { at: 'soon' }), job('door-0000', { queue: 'a b' }), job('door-0000', { reserve_for: 86401 }),
    job('door-0001', { retry: 1 }), job('door-0001'), job('door-0002', { retry: 0 }), job('door-0003', { retry: -1 }), job('door-0004', { at: '2099-01-01T00:00:00Z' }), job('door-0005', { custom: { unique_for: 60 }, args: ['u'] }), job('door-0006', { custom: { unique_for: 60 }, args: ['u'] }), job('door-ü-01')])
    await c.ask(`PUSH ${text}`)
  for (const text of ['', '{}', '[', `[${job('door-0007')},null,{"jid":"door-0008"},${job('door-0009', { custom: { unique_for: 60 }, args: ['u'] })}]`]) await c.ask(`PUSHB ${text}`)
  for (const text of ['', 'QUEUE', 'QUEUE LATENCY *', 'QUEUE LATENCY none', 'QUEUE PAUSE', 'QUEUE PAUSE door', 'QUEUE EAT door', 'QUEUE RESUME *', 'FLUSHED', 'FETCH', 'ACK', 'ACK []', 'ACK {"jid":""}', 'ACK {"jid":"none-0001"}', 'FAIL', 'FAIL {}', 'FAIL {"jid":"none-0001"}', 'BEAT', 'BEAT {"wid":"none"}', 'BEAT {"wid":"w-door","rss_kb":"x"}', 'BEAT {"wid":"w-door","rss_kb":100}'])
    await c.ask(text)
  for (let i = 0; i < 4; i++) await c.ask('FETCH none door')
  await c.ask('FAIL {"jid":"door-0001","errtype":"E","message":"m","backtrace":["a"]}')
  await c.ask('FAIL {"jid":"door-0001"}')
  await c.ask('FAIL {"jid":"door-0002"}')
  await c.ask('FAIL {"jid":"door-0003","errtype":"F"}')
  await c.ask('ACK {"jid":"door-0005"}')
  await c.ask('ACK {"jid":"door-0001"}')
  for (const jid of ['door-0001', 'door-0002', 'door-0003', 'door-0004', 'door-0005', 'none-0001']) await c.ask(`TRACK GET ${jid}`)
  await c.ask('TRACK SET {"jid":"door-0004","percent":50,"desc":"half"}')
  await c.ask('TRACK GET door-0004')
  for (const text of ['', '{}', '{"cmd":"eat","target":"dead"}', '{"cmd":"kill","target":"ready"}', '{"cmd":"requeue","target":"dead","filter":{"jids":["door-0003"]}}', '{"cmd":"kill","target":"scheduled","filter":{"jobtype":"mail"}}', '{"cmd":"discard","target":"retries","filter":{"regexp":"*door*"}}', '{"cmd":"clear","target":"dead"}'])
    await c.ask(`MUTATE ${text}`)
  const batch = await c.ask('BATCH NEW {"description":"d","success":{"jobtype":"S","args":[],"queue":"door-calls"}}')
  for (const text of ['BATCH', 'BATCH NEW {}', `BATCH STATUS ${batch}`, 'BATCH STATUS b-none', `BATCH COMMIT ${batch}`, `BATCH OPEN ${batch}`, `BATCH STATUS ${batch}`]) await c.ask(text)
  for (const jid of ['door-0001', 'door-0003', 'door-0004', 'door-0005']) await w.get(`/v1/jobs/${jid}`)
  await c.ask('INFO')
  await c.ask('QUEUE REMOVE door')
  await c.ask('FLUSH')
  await c.ask('INFO')
  c.close()
})

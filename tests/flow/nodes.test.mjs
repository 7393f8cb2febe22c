// Several nodes on one PostgreSQL: who reads what, and what happens when one dies, freezes or loses its database.
//
// Beats and the time until a node is called lost are shortened, so that a test takes seconds. With
// POSTHOUSE_TEST_SLOW=1 one test runs with the times of life and freezes a node for three minutes.
import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { test } from 'node:test'
import { startDaemon, until } from './lib/daemon.mjs'
import { postgres, skip } from './lib/postgres.mjs'
import { startProxy } from './lib/proxy.mjs'
import { startReading } from './lib/reading.mjs'

const SHORT = { beat: '200ms', lost: '2s' }
const LOOP_MS = 1000 // within which a loop that waits for nobody has ended
const MOVED_MS = 60_000 // what SRC-10 promises; with short times it takes a few seconds

const configOf = ({ beat, lost }, id) => `[node]\nid = ${id}\nbeat = ${beat}\nlost = ${lost}\n`

const node = (database, id, times = SHORT) => startDaemon({ database, config: configOf(times, id) })

async function nodes(daemon) {
  const { status, body, text } = await daemon.get('/v1/overview')
  assert.equal(status, 200, text)
  return body.nodes
}

// The living node that reads the source, undefined when none does.
async function readerOf(daemon, source) {
  return (await nodes(daemon)).find(({ state, leases }) => state === 'alive' && leases.includes(`source/${source}`))?.id
}

// A simulated provider read by the nodes a, b, c: { reading, all: {a, b, c}, url }.
async function cluster({ sim = {}, times = SHORT, names = ['a', 'b', 'c'], urls = {}, source } = {}) {
  const server = await postgres()
  const url = await server.database()
  const all = {}
  const [first, ...others] = names
  const options = { database: urls.make ? await urls.make(first, url) : url, config: configOf(times, first) }
  const reading = await startReading({ sim: { recipients: 2000, ...sim }, daemon: options, polled: false, source })
  all[first] = reading.daemon
  for (const name of others) all[name] = await node(urls.make ? await urls.make(name, url) : url, name, times)
  await until(async () => (await nodes(reading.daemon)).length === names.length, 10_000)
  return { reading, all, url, server }
}

// Goes on looking through a node that lives.
const through = (reading, daemon) => ((reading.daemon = daemon), reading)

async function checked(daemon, url) {
  const { status, stdout, stderr } = await daemon.cli(['check', '--database', url, '--json'])
  assert.equal(status, 0, stdout + stderr)
  assert.equal(JSON.parse(stdout.trim().split('\n').at(-1)).differ, 0)
}

// Items of pages as this node counted them after their commits.
async function counted(daemon) {
  const { text } = await daemon.get('/metrics')
  const lines = text.split('\n').filter((line) => line.startsWith('posthouse_source_events_total{'))
  return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
}

test('three nodes read one source: each page is applied once, and by one of them', { skip }, async () => {
  const { reading, all, url } = await cluster()
  await reading.put()
  await reading.settled(60_000)
  const { lanes } = await reading.source()
  const items = lanes.reduce((sum, { events }) => sum + events, 0)
  const parts = []
  for (const daemon of Object.values(all)) parts.push(await counted(daemon))
  assert.equal(parts.filter((n) => n > 0).length, 1, `counted at the nodes: ${parts}`)
  assert.equal(parts.reduce((a, b) => a + b), items)
  // Each page was asked for by that one alone: it was committed as often as it was given.
  const given = (await reading.sim.requests()).reduce((sum, { items: n }) => sum + (n ?? 0), 0)
  assert.ok(given >= items, `${given} items given, ${items} kept`)
  await checked(reading.daemon, url)
  for (const daemon of Object.values(all)) assert.equal(await daemon.stop(), 0)
})

test('sources are shared out, and a new node gets its part', { skip }, async () => {
  const { reading, all, url } = await cluster({ names: ['a', 'b'] })
  for (const id of ['s-1', 's-2', 's-3', 's-4', 's-5', 's-6']) {
    const { status, text } = await all.a.put(`/v1/sources/${id}`, reading.config)
    assert.equal(status < 300, true, text)
  }
  const parts = async () => (await nodes(all.a)).map(({ leases }) => leases.filter((name) => name.startsWith('source/')).length)
  const became = (wanted) => until(async () => (await parts()).join() === wanted.join(), MOVED_MS, async () => `they have ${await parts()}`)
  await became([3, 3])
  all.c = await node(url, 'c')
  await became([2, 2, 2])
  assert.equal(await all.c.stop(), 0)
  await became([3, 3])
  await all.a.stop()
  await all.b.stop()
})

test('the node that reads dies: another goes on from the committed position, and nothing is counted twice', { skip }, async () => {
  const { reading, all, url } = await cluster({ sim: { recipients: 4000, 'compress-time': 8640 } })
  await reading.put()
  await until(async () => (await reading.stats()).delivered > 200, 60_000)
  const dead = await readerOf(all.a, 'mg')
  assert.ok(dead)
  await all[dead].kill()
  const died = Date.now()
  const [alive] = Object.keys(all).filter((name) => name !== dead)
  through(reading, all[alive])
  await until(async () => ![undefined, dead].includes(await readerOf(all[alive], 'mg')), MOVED_MS)
  assert.ok(Date.now() - died < MOVED_MS)
  await reading.settled(60_000)
  assert.equal((await nodes(all[alive])).find(({ id }) => id === dead).state, 'lost')
  await checked(all[alive], url)
  for (const [name, daemon] of Object.entries(all)) if (name !== dead) assert.equal(await daemon.stop(), 0)
})

// Stops the reader's process for a while, longer than anybody waits for it.
async function freeze({ reading, all, url }, ms, settle_ms) {
  await reading.put()
  await until(async () => (await reading.stats()).delivered > 200, 60_000)
  const frozen = await readerOf(all.a, 'mg')
  const epochs = all[frozen].stderr
  all[frozen].signal('SIGSTOP')
  const began = Date.now()
  const [alive] = Object.keys(all).filter((name) => name !== frozen)
  through(reading, all[alive])
  await until(async () => ![undefined, frozen].includes(await readerOf(all[alive], 'mg')), MOVED_MS)
  await until(() => Date.now() - began > ms, ms + 1000)
  assert.equal((await nodes(all[alive])).find(({ id }) => id === frozen).state, 'lost')
  all[frozen].signal('SIGCONT')
  await all[frozen].logged(/called this one lost/, 30_000)
  await until(async () => (await nodes(all[alive])).every(({ state }) => state === 'alive'), 30_000)
  await reading.settled(settle_ms)
  await checked(all[alive], url)
  assert.ok(all[frozen].stderr.length > epochs.length)
  for (const daemon of Object.values(all)) assert.equal(await daemon.stop(), 0)
}

test('a node frozen for longer than its leases keeps nothing under them, and begins anew', { skip }, async () => {
  await freeze(await cluster({ sim: { recipients: 4000, 'compress-time': 8640 } }), 8000, 60_000)
})

test('what a frozen node was told is written under a new epoch, and nothing under the old one', { skip }, async () => {
  const { reading, all, url, server } = await cluster({ names: ['a', 'b'] })
  const [[no, epoch]] = await server.query(url, "SELECT no, epoch FROM posthouse.node WHERE id = 'a'")
  const groups = async (epoch) => Number((await server.query(url, `SELECT count(*) FROM posthouse.group_log WHERE node = ${no} AND epoch = ${epoch}`))[0][0])
  assert.ok((await groups(epoch)) > 0)
  all.a.signal('SIGSTOP')
  const told = [1, 2, 3].map((n) => all.a.put(`/v1/tenants/late-${n}`, { timezone: 'UTC' }))
  await until(async () => (await nodes(all.b)).find(({ id }) => id === 'a').state === 'lost', 30_000)
  const before = await groups(epoch)
  all.a.signal('SIGCONT')
  for (const { status, text } of await Promise.all(told)) assert.equal(status, 200, text)
  assert.equal(await groups(epoch), before)
  const [[again]] = await server.query(url, "SELECT epoch FROM posthouse.node WHERE id = 'a'")
  assert.ok(Number(again) > Number(epoch))
  assert.ok((await groups(again)) > 0)
  for (const n of [1, 2, 3]) assert.equal((await all.b.get(`/v1/tenants/late-${n}`)).status, 200)
  for (const daemon of Object.values(all)) assert.equal(await daemon.stop(), 0)
  assert.ok(reading)
})

const slow = process.env.POSTHOUSE_TEST_SLOW ? skip : 'three minutes: POSTHOUSE_TEST_SLOW=1 runs it'
test('the same with the times of life: frozen for three minutes', { skip: slow }, async () => {
  const times = { beat: '5s', lost: '30s' }
  await freeze(await cluster({ sim: { recipients: 4000, 'compress-time': 720 }, times }), 180_000, 240_000)
})

test('a node cut off from its database loses what it reads, and finds its way back', { skip }, async () => {
  const wires = {}
  const server = await postgres()
  const make = async (name, url) => (wires[name] = await startProxy(new URL(url).port)).url(url)
  const { reading, all, url } = await cluster({ sim: { recipients: 4000, 'compress-time': 8640 }, urls: { make } })
  await reading.put()
  await until(async () => (await reading.stats()).delivered > 200, 60_000)
  const lonely = await readerOf(all.a, 'mg')
  const [alive] = Object.keys(all).filter((name) => name !== lonely)
  wires[lonely].cut()
  through(reading, all[alive])
  await until(async () => ![undefined, lonely].includes(await readerOf(all[alive], 'mg')), MOVED_MS)
  wires[lonely].heal()
  await until(async () => (await nodes(all[alive])).every(({ state }) => state === 'alive'), MOVED_MS)
  await until(async () => (await all[lonely].get('/readyz')).status === 200, MOVED_MS)
  await reading.settled(60_000)
  await checked(all[alive], url)
  for (const daemon of Object.values(all)) assert.equal(await daemon.stop(), 0)
  assert.ok(server)
})

test('a rolling restart under load loses nothing that was answered', { skip }, async () => {
  const { reading, all, url } = await cluster({ sim: { recipients: 3000, 'compress-time': 8640 } })
  await reading.put()
  await reading.good(reading.daemon.put('/v1/mailings/m-2', { tenant: 't', subject: 'rolling' }))
  const sent = []
  let rolling = true
  const load = (async () => {
    for (let n = 0; rolling; n++) {
      const line = { recipient: `r-${n}@x.org`, id: `id-${n}` }
      for (let k = 0; rolling; k++)
        try {
          const { status } = await all['abc'[(n + k) % 3]].bulk('/v1/mailings/m-2/messages', [line])
          if (status !== 200) continue
          sent.push(line.id)
          break
        } catch {} // that node is away: the next one
    }
  })()
  const goesOn = (why) => {
    const before = sent.length
    return until(() => sent.length > before + 10, 20_000, () => `${sent.length} lines ${why}`)
  }
  try {
    await goesOn('before')
    for (const name of Object.keys(all)) {
      assert.equal(await all[name].stop(), 0)
      await goesOn(`without ${name}`)
      await all[name].start()
      await goesOn(`with ${name} again`)
    }
  } finally {
    rolling = false
    await load
  }
  const stored = (await all.a.list('/v1/messages?mailing=m-2')).map(({ id }) => id)
  assert.deepEqual([...new Set(stored)].sort(), [...new Set(sent)].sort())
  assert.equal((await all.b.get('/v1/mailings/m-2/stats')).body.messages, sent.length)
  await reading.settled(60_000)
  await checked(all.a, url)
  for (const daemon of Object.values(all)) await daemon.stop()
})

test('a newer schema is not carried over under the feet of nodes that know an older one', { skip }, async () => {
  const server = await postgres()
  const url = await server.database()
  const old = await node(url, 'old')
  // What it knows is older, as far as the next one can see: by a step that older nodes would write wrongly beside.
  const [[done]] = await server.query(url, 'SELECT steps FROM posthouse.schema_version WHERE one = 1')
  await server.query(url, 'UPDATE posthouse.schema_version SET steps = (SELECT steps - 1 FROM posthouse.schema_version WHERE one = 2) WHERE one = 1; UPDATE posthouse.node SET steps = (SELECT steps FROM posthouse.schema_version WHERE one = 1)')
  const refused = /schema step \d+ \(.+\) cannot be made while 1 node of an older posthouse runs, --migrate or not: they .+\. Stop them first/
  await assert.rejects(node(url, 'new'), refused)
  await assert.rejects(startDaemon({ database: url, config: configOf(SHORT, 'new'), args: ['--migrate'] }), refused)
  await old.stop()
  // When nobody is left it goes on to the step; here that has been made already.
  await assert.rejects(node(url, 'new'), /schema step \d+ .*already exists/)
  await server.query(url, `UPDATE posthouse.schema_version SET steps = ${done} WHERE one = 1`)
  assert.equal(await (await node(url, 'new')).stop(), 0)
})

test('what one node is told counts at the others: tokens, tenants, sources, backfills', { skip }, async () => {
  const { reading, all } = await cluster({ names: ['a', 'b'] })
  const { body: token, status, text } = await all.a.post('/v1/tokens', { name: 'n', scopes: ['read'] })
  assert.equal(status, 201, text)
  const asks = async (daemon) => (await daemon.get('/v1/tenants/t', { token: token.token })).status
  await until(async () => (await asks(all.b)) === 200, 5000)
  await all.b.delete(`/v1/tokens/${token.id}`)
  await until(async () => (await asks(all.a)) === 401, 5000)

  await reading.put()
  const reader = await until(() => readerOf(all.a, 'mg'), 20_000)
  await reading.exact(60_000)
  const other = reader === 'a' ? all.b : all.a
  const begin = new Date(Date.now() - 3600_000).toISOString()
  const answer = await other.post('/v1/sources/mg/backfill', { begin, end: new Date().toISOString() })
  assert.equal(answer.status, 202, answer.text)
  await until(async () => (await reading.lane('backfill')).state === 'idle', 30_000)
  for (const daemon of Object.values(all)) assert.equal(await daemon.stop(), 0)
})

test('a destination changed at one node is used by the others within a second', { skip }, async () => {
  const url = await (await postgres()).database()
  const [a, b] = [await node(url, 'a'), await node(url, 'b')]
  const to = (path) => ({ url: `https://x.example/${path}`, tenant: 't' })
  const follow = async (daemon) => (await fetch(`${daemon.url}/r/c?m=ann`, { redirect: 'manual' })).headers.get('location')
  assert.equal((await a.put('/v1/tenants/t', {})).status, 200)
  assert.equal((await a.put('/v1/links/c', to('first'))).status, 201)
  await until(async () => (await follow(b)) === 'https://x.example/first', 5_000) // from now on b knows the link
  for (const path of ['second', 'third']) {
    assert.equal((await a.put('/v1/links/c', to(path))).status, 200)
    assert.equal(await follow(a), `https://x.example/${path}`)
    await until(async () => (await follow(b)) === `https://x.example/${path}`, 10_000) // links are remembered for ten minutes
  }
  const { version, stats } = (await b.get('/v1/links/c')).body
  assert.equal(version, 3)
  assert.ok(stats.clicks >= 2)
  for (const daemon of [a, b]) assert.equal(await daemon.stop(), 0)
  await checked(a, url)
})

const threads = (pid) => readdirSync(`/proc/${pid}/task`).map((id) => readFileSync(`/proc/${pid}/task/${id}/comm`, 'utf8').trim())

// The loop is what the answer comes home to: without it the process used to abort.
test('a node that is told to stop waits for what it asks the database about links', { skip }, async () => {
  const server = await postgres()
  const url = await server.database()
  const daemon = await startDaemon({ database: url })
  const { pid } = daemon.child
  const session = server.session(url)
  await session.say('BEGIN; LOCK TABLE posthouse.link_change')
  await until(async () => (await server.query(url, "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'posthouse.link_change'::regclass")).length > 0)
  const stopped = daemon.stop()
  await until(() => !daemon.running || !threads(pid).includes('http'), LOOP_MS).catch(() => {}) // it does not while the look is out
  assert.ok(daemon.running && threads(pid).includes('http'), daemon.stderr)
  await session.say('COMMIT')
  session.end()
  assert.equal(await stopped, 0)
})

// What a node asks of its PostgreSQL: how many connections, where it reads, how long it waits, what stands between.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { follow, SMALL_SPOOL, spoolIsThere } from './lib/clicks.mjs'
import { folder, startDaemon, until } from './lib/daemon.mjs'
import { skipPool, startPool } from './lib/pgbouncer.mjs'
import { startProxy } from './lib/proxy.mjs'
import { postgres, skip, skipOwn, startPair, startPostgres } from './lib/postgres.mjs'

const database = (url, settings = {}) => ({
  database: url,
  config: '[database]\n' + Object.entries(settings).map(([name, value]) => `${name} = ${value}\n`).join(''),
})

const LATEST_MS = 5500 // a click waits 5 s at most

const made = async (daemon, id) => (await daemon.put(`/v1/mailings/${id}`, { tenant: 't' })).status
const seen = async (daemon, id) => (await daemon.get(`/v1/mailings/${id}`)).status

async function good(answering, status = 200) {
  const answer = await answering
  assert.equal(answer.status, status, answer.text)
  return answer
}

async function checked(daemon, url) {
  const { status, stdout, stderr } = await daemon.cli(['check', '--database', url, '--json'])
  assert.equal(status, 0, stdout + stderr)
  assert.equal(JSON.parse(stdout.trim().split('\n').at(-1)).differ, 0)
}

// Writes, reads, redirects and bulk lines at once, until told to stop.
function load(daemon, id) {
  let going = true
  const loops = [
    (n) => daemon.bulk(`/v1/mailings/${id}/messages`, [{ recipient: `r-${n}@x.org`, id: `${id}-${n}` }]),
    () => daemon.get(`/v1/mailings/${id}/stats`),
    () => daemon.get(`/v1/messages?mailing=${id}`),
    (n) => daemon.get(`/r/none-${n}`),
    () => daemon.get('/v1/overview'),
  ].flatMap((ask) => [ask, ask]).map(async (ask, k) => {
    for (let n = 0; going; n++) await ask(2 * n + (k % 2))
  })
  return async () => ((going = false), Promise.all(loops))
}

test('a node has no more connections than it may, however much is asked of it', { skip }, async () => {
  const server = await postgres()
  const url = await server.database()
  const daemon = await startDaemon(database(url, { connections: 5, readers: 16 }))
  await good(daemon.put('/v1/tenants/t', {}))
  await good(daemon.put('/v1/mailings/m', { tenant: 't' }))
  const stop = load(daemon, 'm')
  const counts = []
  const name = new URL(url).pathname.slice(1)
  await until(async () => {
    const [[n]] = await server.query(server.admin, `SELECT count(*) FROM pg_stat_activity WHERE datname = '${name}' AND application_name = 'posthouse'`)
    counts.push(Number(n))
    return counts.length >= 20
  }, 60_000)
  await stop()
  assert.ok(Math.max(...counts) <= 5, `connections: ${counts}`)
  assert.ok(Math.max(...counts) >= 3, `connections: ${counts}`)
  assert.equal(await daemon.stop(), 0)
  await assert.rejects(startDaemon(database(url, { connections: 4 })), /connections/)
})

test('what only reads may read from a replica', { skip: skipOwn }, async () => {
  const pair = await startPair()
  const pathname = `/${(await pair.database()).split('/').at(-1)}`
  const [url, replica] = [pair.primary, pair.standby].map(({ port }) => `postgres://posthouse@127.0.0.1:${port}${pathname}`)
  const daemon = await startDaemon(database(url, { replica }))
  await good(daemon.put('/v1/tenants/t', {}))
  await until(async () => (await made(daemon, 'm-1')) === 200 && (await seen(daemon, 'm-1')) === 200, 30_000)
  await pair.standby.query(pair.standby.admin, 'SELECT pg_wal_replay_pause()')
  assert.equal(await made(daemon, 'm-2'), 200)
  assert.equal(await seen(daemon, 'm-2'), 404) // the replica does not know it yet
  await pair.standby.query(pair.standby.admin, 'SELECT pg_wal_replay_resume()')
  await until(async () => (await seen(daemon, 'm-2')) === 200, 30_000)
  assert.equal(await daemon.stop(), 0)
  await pair.end()
})

// LNK-44
test('a link that must be looked up while the database is away is an honest page without a link', { skip: skipOwn }, async () => {
  const server = await startPostgres()
  const daemon = await startDaemon({ database: await server.database() })
  await good(daemon.put('/v1/tenants/t', {}))
  await good(daemon.put('/v1/links/a', { url: 'https://example.org/', tenant: 't' }), 201)
  assert.equal((await follow(daemon, '/r/a?m=ann')).status, 302)
  assert.equal(await daemon.stop(), 0)
  await daemon.start() // with nothing in its cache
  await server.end()
  const { status, headers, body } = await follow(daemon, '/r/a?m=ann')
  assert.deepEqual([status, headers['retry-after'], headers['cache-control'], headers.location], [503, '5', 'no-store', undefined])
  assert.doesNotMatch(body, /href/)
  await daemon.kill()
})

// A daemon that reaches its database through a wire, and whose link `a` anybody may click.
async function wired(env) {
  const server = await startPostgres()
  const url = await server.database()
  const wire = await startProxy(server.port)
  const daemon = await startDaemon({ ...database(wire.url(url), { statement_timeout: '30s' }), env })
  await good(daemon.put('/v1/tenants/t', {}))
  await good(daemon.put('/v1/links/a', { url: 'https://shop.example.org/?m=%%{member}%%', tenant: 't' }), 201)
  assert.equal((await follow(daemon, '/r/a?m=ann')).status, 302)
  return { server, url, wire, daemon }
}

async function timed(asking) {
  const begun = performance.now()
  const answer = await asking
  return { ...answer, took_ms: performance.now() - begun }
}

test('readers are sent on while PostgreSQL does not answer, and every click is counted once afterwards', { skip: skipOwn }, async () => {
  const data = folder()
  const { server, url, wire, daemon } = await wired({ ...SMALL_SPOOL, POSTHOUSE_LINKS_SPOOL: join(data, 'click-spool') })
  await spoolIsThere({ data })
  wire.cut()
  const clicked = await Promise.all(Array.from({ length: 50 }, () => timed(follow(daemon, '/r/a?m=ann'))))
  for (let i = 0; i < 50; i++) clicked.push(await timed(follow(daemon, '/r/a?m=ann')))
  for (const { status, took_ms } of clicked) {
    assert.equal(status, 302)
    assert.ok(took_ms < LATEST_MS, `${took_ms} ms`)
  }
  assert.equal((await daemon.get('/readyz')).status, 503)
  wire.heal()
  await until(async () => (await daemon.get('/readyz')).status === 200, 60_000)
  await until(async () => (await good(daemon.get('/v1/links/a'))).body.stats.clicks === 1 + clicked.length, 30_000)
  await checked(daemon, url)
  assert.equal(await daemon.stop(), 0)
  await wire.end()
  await server.end()
})

test('without a spool whoever clicks while PostgreSQL does not answer gets an honest page before long', { skip: skipOwn }, async () => {
  const { server, url, wire, daemon } = await wired({ POSTHOUSE_LINKS_SPOOL: '/nowhere/spool' })
  wire.cut()
  const { status, headers, body, took_ms } = await timed(follow(daemon, '/r/a?m=ann'))
  assert.deepEqual([status, headers['retry-after'], headers['cache-control'], headers.location], [503, '5', 'no-store', undefined])
  assert.match(body, /<a rel="noreferrer" href="https:\/\/shop\.example\.org\/\?m=ann">Continue to shop\.example\.org<\/a>/)
  assert.doesNotMatch(body, /script|http-equiv/)
  assert.ok(took_ms < LATEST_MS, `${took_ms} ms`)
  wire.heal()
  await until(async () => (await follow(daemon, '/r/a?m=bob')).status === 302, 60_000)
  await checked(daemon, url)
  assert.equal(await daemon.stop(), 0)
  await wire.end()
  await server.end()
})

// A pair whose standby is gone, so that every commit of the primary waits for it; confirm() lets them go.
async function widowed() {
  const pair = await startPair()
  const url = `postgres://posthouse@127.0.0.1:${pair.primary.port}/${(await pair.database()).split('/').at(-1)}`
  const daemon = await startDaemon(database(url, { statement_timeout: '1s' }))
  await good(daemon.put('/v1/tenants/t', {}))
  await pair.standby.stop()
  const say = (text) => pair.primary.query(pair.primary.admin, text)
  const confirm = async () => {
    await say("ALTER SYSTEM SET synchronous_standby_names = ''")
    await say('SELECT pg_reload_conf()')
  }
  return { pair, url, daemon, say, confirm }
}

test('a change that no standby has confirmed is not answered, and is there all the same', { skip: skipOwn }, async () => {
  const { pair, url, daemon, say, confirm } = await widowed()
  let answer
  daemon.put('/v1/mailings/m-1', { tenant: 't' }).then((said) => (answer = said))
  await until(async () => (await say("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"), answer), 30_000)
  assert.equal(answer.status, 503)
  assert.match(answer.text, /no standby has confirmed it/)
  await confirm()
  await until(async () => (await made(daemon, 'm-2')) === 200, 30_000)
  assert.equal(await seen(daemon, 'm-1'), 200)
  await checked(daemon, url)
  assert.equal(await daemon.stop(), 0)
  await pair.end()
})

test('a commit whose answer does not come is looked for until it is found', { skip: skipOwn }, async () => {
  const { pair, url, daemon, confirm } = await widowed()
  const change = made(daemon, 'm-1')
  // The link was given up; the turn, which the waiting commit still has, was asked for in vain.
  await until(() => /canceling statement due to statement timeout/.test(pair.primary.log), 30_000)
  await confirm()
  assert.equal(await change, 200)
  assert.equal(await seen(daemon, 'm-1'), 200)
  await checked(daemon, url)
  assert.equal(await daemon.stop(), 0)
  await pair.end()
})

test('a statement that waits too long is ended: a change runs again, a read is refused', { skip: skipOwn }, async () => {
  const server = await startPostgres()
  const url = await server.database()
  const daemon = await startDaemon(database(url, { statement_timeout: '1s' }))
  await good(daemon.put('/v1/tenants/t', {}))
  assert.equal(await made(daemon, 'm-1'), 200)
  const ended = () => server.log.split('canceling statement due to statement timeout').length - 1
  const locked = server.query(url, 'BEGIN; LOCK TABLE posthouse.mailing; SELECT pg_sleep(6); COMMIT')
  await until(async () => (await server.query(url, "SELECT 1 FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted AND relation = 'posthouse.mailing'::regclass")).length > 0, 10_000)
  const read = daemon.get('/v1/mailings/m-1')
  const change = made(daemon, 'm-2')
  await until(() => ended() > 0, 20_000)
  assert.equal((await read).status, 503)
  await locked
  assert.equal(await change, 200)
  assert.equal(await seen(daemon, 'm-2'), 200)
  assert.equal(await daemon.stop(), 0)
})

test('two nodes work through PgBouncer in transaction mode', { skip: skip || skipPool }, async () => {
  const server = await postgres()
  const url = await server.database()
  const pooled = await startPool(url, 4)
  const nodes = [await startDaemon(database(pooled)), await startDaemon(database(pooled))]
  await good(nodes[0].put('/v1/tenants/t', {}))
  const sent = await Promise.all(
    nodes.flatMap((daemon, i) =>
      [0, 1].map(async (k) => {
        assert.equal(await made(daemon, `m-${i}-${k}`), 200)
        for (let n = 0; n < 30; n++) await good(daemon.bulk(`/v1/mailings/m-${i}-${k}/messages`, [{ recipient: `r-${n}@x.org` }]))
        return `m-${i}-${k}`
      }),
    ),
  )
  for (const daemon of nodes) for (const id of sent) assert.equal((await daemon.get(`/v1/mailings/${id}/stats`)).body.messages, 30)
  assert.equal((await nodes[1].get('/v1/overview')).body.nodes.filter(({ state }) => state === 'alive').length, 2)
  await checked(nodes[0], url)
  for (const daemon of nodes) assert.equal(await daemon.stop(), 0)
})

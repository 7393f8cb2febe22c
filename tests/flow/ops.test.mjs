// What operators look at: health, metrics, the page, the contract, memory.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { cli, program, startDaemon, until } from './lib/daemon.mjs'

const promtool = [process.env.PATH, '.tools'].join(':')

test('promtool has one complaint about the metrics, the name that is given', async (t) => {
  if (spawnSync('promtool', ['--version'], { env: { PATH: promtool } }).error) return t.skip('there is no promtool')
  const daemon = await startDaemon()
  await daemon.put('/v1/tenants/t-1', {})
  await daemon.get('/nowhere')
  const { text, headers } = await daemon.get('/metrics')
  assert.match(headers.get('content-type'), /^text\/plain; version=0\.0\.4/)
  // LED-35 fixes the name: the word in it is what drifts, not the type that promtool takes it for.
  const checked = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8', env: { PATH: promtool } })
  assert.equal((checked.stdout + checked.stderr).trim(), `posthouse_counter_drift_total metric name should not include type 'counter'`)
  for (const line of text.split('\n').filter((line) => line && !line.startsWith('#'))) assert.match(line, /^posthouse_/)
  await daemon.stop()
})

test('metrics count requests by route and class, and what the store did', async () => {
  const daemon = await startDaemon()
  await daemon.put('/v1/tenants/t-1', {})
  await daemon.put('/v1/tenants/t-1', { timezone: 'Nowhere/Land' })
  await daemon.get('/v1/nowhere')
  const value = async (name) => Number((await daemon.get('/metrics')).text.split('\n').find((line) => line.startsWith(name + ' '))?.split(' ').at(-1))
  assert.equal(await value('posthouse_http_requests_total{route="PUT /v1/tenants/{id}",code="2xx"}'), 1)
  assert.equal(await value('posthouse_http_requests_total{route="PUT /v1/tenants/{id}",code="4xx"}'), 1)
  assert.equal(await value('posthouse_http_requests_total{route="none",code="4xx"}'), 1)
  assert.equal(await value('posthouse_http_request_duration_seconds_count{route="PUT /v1/tenants/{id}"}'), 2)
  assert.equal(await value('posthouse_store_ready'), 1)
  assert.ok((await value('posthouse_store_commits_total')) >= 1)
  assert.ok((await value('posthouse_resident_memory_bytes')) > 1e6)
  await daemon.stop()
})

test('an idle daemon stays within 24 MB', async (t) => {
  if (/asan|tsan/.test(program)) return t.skip('sanitizers need more')
  const daemon = await startDaemon()
  await daemon.get('/v1/overview')
  await daemon.get('/metrics')
  assert.ok(daemon.rss() <= 24e6, `${daemon.rss()} bytes resident`)
  await daemon.stop()
})

test('openapi.yaml is served as it stands in the project', async () => {
  const daemon = await startDaemon()
  const { text, headers } = await daemon.get('/openapi.yaml')
  assert.equal(headers.get('content-type'), 'application/yaml')
  assert.equal(text, readFileSync('openapi.yaml', 'utf8'))
  await daemon.stop()
})

test('openapi.yaml and the routes of the program name the same operations', () => {
  const told = []
  let path
  for (const line of readFileSync('openapi.yaml', 'utf8').split('\n')) {
    if (/^components:/.test(line)) break
    path = line.match(/^ {2}(\/\S*):$/)?.[1] ?? path
    const method = line.match(/^ {4}(get|put|post|patch|delete|head|options):$/)?.[1]
    if (method) told.push(`${method.toUpperCase()} ${path}`)
  }
  const routes = JSON.parse(cli(['config', 'routes']).stdout).map(({ method, path }) => `${method} ${path.replace('*}', '}')}`)
  assert.deepEqual(told.sort(), routes.sort())
})

test('the page shows mailings and sources, runs no scripts and escapes what it shows', async () => {
  const daemon = await startDaemon()
  await daemon.put('/v1/tenants/t-1', {})
  await daemon.put('/v1/mailings/m-1', { tenant: 't-1', subject: '<script>alert(1)</script>' })
  const { status, text, headers } = await daemon.get('/')
  assert.equal(status, 200)
  assert.match(headers.get('content-type'), /^text\/html/)
  assert.match(headers.get('content-security-policy'), /^default-src 'none'; style-src 'sha256-/)
  assert.match(text, /m-1/)
  assert.match(text, /&lt;script&gt;alert\(1\)&lt;\/script&gt;/)
  assert.doesNotMatch(text, /<script|https?:|src=|href=/)
  await daemon.stop()
})

test('the overview tells how everything stands', async () => {
  const daemon = await startDaemon()
  await daemon.put('/v1/tenants/t-1', {})
  for (const id of ['m-1', 'm-2']) await daemon.put(`/v1/mailings/${id}`, { tenant: 't-1' })
  const { body } = await daemon.get('/v1/overview')
  assert.equal(body.ready, true)
  assert.match(body.database, /^(sqlite|postgres):/)
  assert.equal(body.nodes.length, 1)
  const [{ id, state, version, started_at, beat_at, clock_offset_seconds, leases }] = body.nodes
  assert.deepEqual({ id, state, version, clock_offset_seconds, leases }, { id: hostname(), state: 'alive', version: body.version, clock_offset_seconds: 0, leases: ['lead'] })
  assert.ok(Date.parse(started_at) <= Date.parse(beat_at) && Date.now() - Date.parse(beat_at) < 5000)
  assert.deepEqual(body.mailings.map((m) => [m.id, m.tenant, m.stats.messages]), [['m-2', 't-1', 0], ['m-1', 't-1', 0]])
  await daemon.stop()
})

test('a stopping daemon takes nothing new and finishes what is under way', async () => {
  const daemon = await startDaemon()
  await daemon.put('/v1/tenants/t-1', {})
  await daemon.put('/v1/mailings/m-1', { tenant: 't-1' })
  let finish
  const body = new ReadableStream({ start: (c) => (c.enqueue(Buffer.from('{"recipient":"a@x.org"}\n')), (finish = () => c.close())) })
  const headers = { 'content-type': 'application/x-ndjson' }
  const import_ = fetch(`${daemon.url}/v1/mailings/m-1/messages`, { method: 'POST', headers, body, duplex: 'half' })
  await until(async () => (await daemon.get('/metrics')).text.match(/posthouse_http_connections [2-9]/))
  daemon.signal('SIGTERM')
  await daemon.logged(/msg=stopping/)
  await until(() => fetch(`${daemon.url}/livez`).then(() => false, () => true), 5000, () => 'new connections are still taken')
  finish()
  assert.equal((await (await import_).json()).accepted, 1, 'a request under way is finished')
  assert.deepEqual(await daemon.ended, { code: 0, signal: null })
  await daemon.start()
  assert.equal((await daemon.get('/v1/mailings/m-1/stats')).body.messages, 1)
  await daemon.stop()
})

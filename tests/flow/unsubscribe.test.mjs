// One-click unsubscription: addresses for the header, a page that changes nothing, a POST that does.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { cli, folder, startDaemon } from './lib/daemon.mjs'
import { postgres, skip } from './lib/postgres.mjs'

const tokens = async (daemon, ...lines) => (await daemon.post('/v1/unsubscribe-tokens', lines)).body.items.map((item) => new URL(item.url).pathname)
const suppressed = async (daemon, address) => (await daemon.get(`/v1/suppressions?address=${encodeURIComponent(address)}`)).body.items

const unsubscribed = async (daemon) =>
  (await daemon.list('/v1/events?type=message.unsubscribed')).map(({ source, tenant, data }) => [source, tenant, data])

test('a thousand looks at the page change nothing, one POST suppresses the address once, also after a kill', async () => {
  const daemon = await startDaemon()
  await daemon.put('/v1/tenants/t-1', {})
  const [path, same] = await tokens(daemon, { tenant: 't-1', recipient: 'Ann@x.example' }, { tenant: 't-1', recipient: 'ann@x.example', scope: 'mailings' })
  assert.equal(path, same, 'the same request gives the same address')
  assert.doesNotMatch(path, /ann/i)
  for (let i = 0; i < 1000; i += 50) {
    const pages = await Promise.all(Array.from({ length: 50 }, () => fetch(daemon.url + path)))
    for (const page of pages) {
      assert.equal(page.status, 200)
      await page.text()
    }
  }
  const page = await fetch(daemon.url + path)
  assert.equal(page.headers.get('content-security-policy'), "default-src 'none'; style-src 'self'; form-action 'self'")
  assert.equal(page.headers.get('cache-control'), 'no-store')
  assert.equal(page.headers.get('set-cookie'), null)
  const html = await page.text()
  assert.match(html, /<form method="post"><button/)
  assert.doesNotMatch(html, /<script|http:|https:/)
  assert.deepEqual(await suppressed(daemon, 'ann@x.example'), [])

  const post = () => fetch(daemon.url + path, { method: 'POST', body: new URLSearchParams({ 'List-Unsubscribe': 'One-Click' }) })
  assert.equal((await post()).status, 200)
  await daemon.kill()
  await daemon.start()
  const form = new FormData()
  form.set('List-Unsubscribe', 'One-Click')
  assert.equal((await fetch(daemon.url + path, { method: 'POST', body: form })).status, 200)
  const rows = await suppressed(daemon, 'ann@x.example')
  assert.deepEqual(rows.map(({ reason, scope, tenant }) => [reason, scope, tenant]), [['unsubscribe', 'mailings', 't-1']])
  assert.deepEqual(await unsubscribed(daemon), [['posthouse', 't-1', { recipient: 'ann@x.example', scope: 'mailings', via: 'one-click' }]])
  assert.equal(await daemon.stop(), 0)
  assert.equal(cli(['check', ...daemon.store]).status, 0)
})

test('who unsubscribes is in the log of events, with his way, each time that it is news', async () => {
  const daemon = await startDaemon()
  await daemon.put('/v1/tenants/t-1', {})
  const paths = await tokens(daemon, ...['ann', 'bob', 'eve'].map((name) => ({ tenant: 't-1', recipient: `${name}@x.example` })))
  const form = new FormData()
  form.set('List-Unsubscribe', 'One-Click')
  const bodies = [form, new URLSearchParams({ page: '1' }), 'anything']
  for (let i = 0; i < 3; i++) assert.equal((await fetch(daemon.url + paths[i], { method: 'POST', body: bodies[i] })).status, 200)
  const event = (name, via) => ['posthouse', 't-1', { recipient: `${name}@x.example`, scope: 'mailings', via }]
  const first = [event('eve', 'page'), event('bob', 'page'), event('ann', 'one-click')]
  assert.deepEqual(await unsubscribed(daemon), first)
  assert.equal((await fetch(daemon.url + paths[0], { method: 'POST' })).status, 200)
  assert.deepEqual(await unsubscribed(daemon), first, 'the second time is no news')
  assert.equal((await daemon.delete('/v1/suppressions/ann@x.example?tenant=t-1')).status, 204)
  assert.equal((await fetch(daemon.url + paths[0], { method: 'POST' })).status, 200)
  assert.deepEqual(await unsubscribed(daemon), [event('ann', 'page'), ...first])
  await daemon.stop()
})

test('a scope of its own stops that report only, and unknown tokens learn nothing', async () => {
  const daemon = await startDaemon()
  await daemon.put('/v1/tenants/t-1', {})
  const [report] = await tokens(daemon, { tenant: 't-1', recipient: 'ann@x.example', scope: 'report:weekly' })
  const real = await fetch(daemon.url + report, { method: 'POST' })
  const forged = await fetch(`${daemon.url}${report.slice(0, -2)}AA`, { method: 'POST' })
  assert.deepEqual([real.status, await real.text()], [forged.status, await forged.text()])
  assert.deepEqual((await suppressed(daemon, 'ann@x.example')).map((row) => row.scope), ['report:weekly'])
  assert.equal((await fetch(daemon.url + report, { method: 'POST', body: 'x'.repeat(5000) })).status, 413)
  const { body } = await daemon.post('/v1/unsubscribe-tokens', [{ tenant: 't-1', recipient: 'a@x.example' }, { tenant: 't-1' }, { tenant: 't-1', recipient: 'b@x.example', scope: 'all' }])
  assert.deepEqual([body.accepted, body.rejected.map((line) => line.line), body.rejected_count], [1, [2, 3], 2])
  await daemon.stop()
})

test('nodes of a database know the same keys, and a store that moves takes them along', { skip }, async () => {
  const line = { tenant: 't-1', recipient: 'ann@x.example' }
  const server = await postgres()
  const first = await startDaemon({ data: folder() })
  await first.put('/v1/tenants/t-1', {})
  const [path] = await tokens(first, line)
  await first.stop()

  const database = await server.database()
  const there = cli(['migrate', '--data', first.data, '--to', database])
  assert.equal(there.status, 0, there.stderr)
  const [a, b] = [await startDaemon({ database }), await startDaemon({ database })]
  assert.deepEqual([await tokens(a, line), await tokens(b, line)], [[path], [path]])
  assert.equal((await fetch(b.url + path, { method: 'POST' })).status, 200)
  assert.equal((await suppressed(a, line.recipient)).length, 1)
  await Promise.all([a.stop(), b.stop()])

  const data = join(folder(), 'back')
  const back = cli(['migrate', '--database', database, '--to', `sqlite:${data}`])
  assert.equal(back.status, 0, back.stderr)
  const last = await startDaemon({ data })
  assert.deepEqual(await tokens(last, line), [path])
  await last.stop()
})

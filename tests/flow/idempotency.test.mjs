// A POST sent again with its Idempotency-Key does nothing twice.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { startDaemon } from './lib/daemon.mjs'

const key = (value) => ({ headers: { 'idempotency-key': value } })

test('an import sent again with its Idempotency-Key gets the stored answer, also after a kill', async () => {
  const daemon = await startDaemon()
  await daemon.put('/v1/tenants/t-1', {})
  await daemon.put('/v1/mailings/m-1', { tenant: 't-1' })
  const path = '/v1/mailings/m-1/messages'
  const lines = [{ recipient: 'a@x.org' }, { recipient: 'b@x.org' }, 'no json']
  const first = await daemon.bulk(path, lines, key('k-1'))
  assert.equal(first.body.accepted, 2)
  assert.equal(first.headers.get('idempotency-replayed'), null)

  await daemon.kill()
  await daemon.start()
  const again = await daemon.bulk(path, lines, key('k-1'))
  assert.equal(again.status, first.status)
  assert.deepEqual(again.body, first.body)
  assert.equal(again.headers.get('idempotency-replayed'), 'true')

  const other = await daemon.bulk(path, lines.slice(1), key('k-1'))
  assert.equal(other.status, 422)
  assert.match(other.body.detail, /another body/)
  const fresh = await daemon.bulk(path, lines, key('k-2'))
  assert.equal(fresh.body.duplicates, 2)
  assert.equal((await daemon.get('/v1/mailings/m-1/stats')).body.messages, 2)
  await daemon.stop()
})

// TX-3
test('what an outbox sends again, because a kill took the answers, is there once', async () => {
  const daemon = await startDaemon()
  await daemon.put('/v1/tenants/t-1', {})
  await daemon.put('/v1/mailings/m-1', { tenant: 't-1' })
  const jobs = Array.from({ length: 300 }, (_, i) => ({ jid: `order-${1000 + i}`, queue: 'mail', jobtype: 't', args: [i] }))
  const letters = Array.from({ length: 300 }, (_, i) => ({ recipient: `r${i}@x.org`, id: `letter-${i}` }))
  const send = () => [...jobs.map((job) => daemon.post('/v1/jobs', job)), daemon.bulk('/v1/mailings/m-1/messages', letters, key('outbox-1'))]
  const first = send().map((answer) => answer.catch(() => undefined))
  await Promise.race(first)
  await daemon.kill()
  await Promise.all(first)

  await daemon.start()
  for (const { status } of await Promise.all(send())) assert.ok(status === 200 || status === 201, `answered ${status}`)
  assert.equal((await daemon.get('/v1/queues/mail')).body.ready, jobs.length)
  assert.equal((await daemon.get('/v1/mailings/m-1/stats')).body.messages, letters.length)
  await daemon.stop()
})

test('an Idempotency-Key is of one caller and one path', async () => {
  const daemon = await startDaemon()
  await daemon.put('/v1/tenants/t-1', {})
  for (const id of ['m-1', 'm-2']) await daemon.put(`/v1/mailings/${id}`, { tenant: 't-1' })
  const lines = [{ recipient: 'a@x.org' }]
  const token = (await daemon.post('/v1/tokens', { name: 'n', scopes: ['write'] })).body.token
  assert.equal((await daemon.bulk('/v1/mailings/m-1/messages', lines, key('k'))).body.accepted, 1)
  assert.equal((await daemon.bulk('/v1/mailings/m-2/messages', lines, key('k'))).body.accepted, 1)
  assert.equal((await daemon.bulk('/v1/mailings/m-1/messages', lines, { ...key('k'), token })).body.duplicates, 1)
  await daemon.stop()
})

test('a refused request is not remembered under its Idempotency-Key', async () => {
  const daemon = await startDaemon()
  const path = '/v1/mailings/m-1/messages'
  const lines = [{ recipient: 'a@x.org' }]
  assert.equal((await daemon.bulk(path, lines, key('k'))).status, 404)
  await daemon.put('/v1/tenants/t-1', {})
  await daemon.put('/v1/mailings/m-1', { tenant: 't-1' })
  assert.equal((await daemon.bulk(path, lines, key('k'))).body.accepted, 1)
  await daemon.stop()
})

test('an Idempotency-Key that is under way is 409, one too long is 422', async () => {
  const daemon = await startDaemon()
  await daemon.put('/v1/tenants/t-1', {})
  await daemon.put('/v1/mailings/m-1', { tenant: 't-1' })
  const url = `${daemon.url}/v1/mailings/m-1/messages`
  let finish
  const body = new ReadableStream({
    start(controller) {
      controller.enqueue(new TextEncoder().encode('{"recipient":"a@x.org"}\n'))
      finish = () => controller.close()
    },
  })
  const headers = { 'content-type': 'application/x-ndjson', 'idempotency-key': 'k' }
  const first = fetch(url, { method: 'POST', headers, body, duplex: 'half' })
  let second
  do second = await daemon.bulk('/v1/mailings/m-1/messages', [{ recipient: 'zz@x.org', id: 'no' }], key('k'))
  while (second.status === 200) // the first one had not arrived yet: then this one was the first
  assert.equal(second.status, 409)
  finish()
  await first
  assert.equal((await daemon.bulk('/v1/mailings/m-1/messages', [], key('x'.repeat(256)))).status, 422)
  await daemon.stop()
})

test('a token is never stored, so its Idempotency-Key means nothing', async () => {
  const daemon = await startDaemon()
  const [one, two] = [0, 0].map(() => daemon.post('/v1/tokens', { name: 'n', scopes: ['read'] }, key('k')))
  assert.notEqual((await one).body.token, (await two).body.token)
  await daemon.stop()
})

test('a backfill asked for again with its Idempotency-Key is not a second one', async () => {
  const daemon = await startDaemon()
  await daemon.put('/v1/sources/mg', { type: 'mailgun', domain: 'mg.x.org', api_key: 'k', base_url: 'http://127.0.0.1:1' })
  const window = { begin: new Date(Date.now() - 90e6).toISOString(), end: new Date(Date.now() - 86e6).toISOString() }
  const ask = (headers) => daemon.post('/v1/sources/mg/backfill', window, headers)
  const first = await ask(key('k'))
  const again = await ask(key('k'))
  assert.deepEqual([first.status, again.status, (await ask()).status], [202, 202, 409])
  assert.equal(again.text, first.text)
  assert.equal(again.headers.get('idempotency-replayed'), 'true')
  await daemon.stop()
})

// Events over HTTP: recorded once, read back as they came.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { startDaemon } from './lib/daemon.mjs'

test('the same events again are duplicates, a bad line costs itself', async () => {
  const daemon = await startDaemon()
  const lines = '{"id":"b-1","type":"package.build_fail","source":"ci","time":"2026-11-21T19:00:00.123Z","tenant":"t-1","subject":"devel/vim","data":{ "n": 1.0, "u": "\\u003c" },"receivers":{"maintainer":["u-1","g-core"]},"originator":"u-2"}\n{"id":"b-1","type":"package.build_fail","source":"ci","tenant":"t-1","data":{}}\n\n{"id":"b-2","typ":"x"}\nno JSON\n{"id":"b-3","type":"a..b"}\n'
  const send = () => daemon.request('POST', '/v1/events', { body: lines, type: 'application/x-ndjson' })
  const first = await send()
  assert.equal(first.status, 200, first.text)
  assert.deepEqual([first.body.accepted, first.body.duplicates, first.body.rejected_count], [1, 1, 3])
  assert.deepEqual(first.body.rejected.map(({ line }) => line), [4, 5, 6])
  assert.equal(first.body.rejected[0].detail, "typ: there is no such field; did you mean 'type'?")
  assert.equal(first.body.rejected[2].detail, 'type: must be 1 to 16 words of [A-Za-z0-9_-] joined by dots')
  assert.deepEqual([(await send()).body.accepted, (await send()).body.duplicates], [0, 2])

  await daemon.kill()
  await daemon.start()
  const { body, text } = await daemon.get('/v1/events/b-1')
  assert.deepEqual(
    [body.type, body.source, body.time, body.tenant, body.subject, body.originator, body.private, body.receivers],
    ['package.build_fail', 'ci', '2026-11-21T19:00:00.123000Z', 't-1', 'devel/vim', 'u-2', false, { maintainer: ['u-1', 'g-core'] }],
  )
  assert.match(text, /"data":\{ "n": 1\.0, "u": "\\u003c" \}/)
})

test('an id that several sources used is named with them', async () => {
  const daemon = await startDaemon()
  await daemon.post('/v1/events', [{ id: 'x', type: 'a', source: 'ci' }, { id: 'x', type: 'b', source: 'forge' }, { id: 'x', type: 'c' }])
  const { status, body } = await daemon.get('/v1/events/x')
  assert.equal(status, 409)
  assert.equal(body.detail, "there are several events 'x', of api, ci, forge: say which with ?source= or ?tenant=")
  assert.equal((await daemon.get('/v1/events/x?source=forge')).body.type, 'b')
  assert.equal((await daemon.get('/v1/events/x?source=else')).status, 404)
})

test('events without an id or an instant get them, and one object is one line', async () => {
  const daemon = await startDaemon()
  assert.deepEqual((await daemon.post('/v1/events', { type: 'a.b' })).body, { accepted: 1, duplicates: 0, rejected: [], rejected_count: 0 })
  assert.equal((await daemon.post('/v1/events', { type: 'a.b' })).body.accepted, 1)
  const { items } = (await daemon.get('/v1/events')).body
  assert.equal(items.length, 2)
  assert.notEqual(items[0].id, items[1].id)
  assert.deepEqual([items[0].source, items[0].time, items[0].data, items[0].receivers], ['api', items[0].received_at, null, {}])
})

test('the log is read newest first by a cursor, by type and by tenant', async () => {
  const daemon = await startDaemon()
  const all = Array.from({ length: 250 }, (_, i) => ({ id: `e-${i}`, type: i % 5 ? 'package.commit' : 'request.create', tenant: `t-${i % 2}`, data: i }))
  assert.equal((await daemon.post('/v1/events', all)).body.accepted, 250)
  const read = async (query) => {
    const seen = []
    for (let after = ''; after !== null; ) {
      const { body } = await daemon.get(`/v1/events?limit=60${query}${after && `&after=${after}`}`)
      seen.push(...body.items)
      after = body.next
    }
    return seen
  }
  assert.deepEqual((await read('')).map(({ data }) => data), all.map(({ data }) => data).reverse())
  const seqs = (await read('')).map(({ seq }) => seq)
  assert.ok(seqs.every((seq, i) => i === 0 || seq < seqs[i - 1]))
  assert.equal((await read('&type=request.create')).length, 50)
  assert.equal((await read('&tenant=t-1')).length, 125)
  assert.equal((await read('&type=request.create&tenant=t-1')).length, 25)
  assert.deepEqual((await daemon.get('/v1/events?after=foreign')).body, { items: [], next: null })
})

test('a body without any event is refused, and so is one that is too large', async () => {
  const daemon = await startDaemon()
  for (const [body, type] of [['not JSON', 'application/json'], ['one\ntwo\n', 'application/x-ndjson']]) assert.equal((await daemon.request('POST', '/v1/events', { body, type })).status, 400)
  const fits = (n) => daemon.post('/v1/events', [{ type: 'a', data: 'x'.repeat(n) }])
  assert.equal((await fits((256 << 10) - 2)).body.accepted, 1)
  assert.equal((await fits((256 << 10) - 1)).body.rejected[0].detail, 'data: is 262145 bytes long, at most 262144 are allowed')
  assert.equal((await daemon.request('POST', '/v1/events', { body: ' '.repeat((16 << 20) + 1), type: 'application/json' })).status, 413)
})

test('a token of a tenant records and sees the events of that tenant only', async () => {
  const daemon = await startDaemon()
  await daemon.post('/v1/events', [{ id: 'e', type: 'a', tenant: 't-1' }, { id: 'e', type: 'a', tenant: 't-2' }])
  const { body: { token } } = await daemon.post('/v1/tokens', { name: 'shop', scopes: ['read', 'write'], tenant: 't-1' })
  const post = (events) => daemon.request('POST', '/v1/events', { body: JSON.stringify(events), type: 'application/json', token })
  assert.equal((await post([{ type: 'a', tenant: 't-2' }])).status, 403)
  await post([{ id: 'mine', type: 'a' }])
  const { items } = (await daemon.get('/v1/events', { token })).body
  assert.deepEqual(items.map(({ id, tenant }) => [id, tenant]), [['mine', 't-1'], ['e', 't-1']])
  assert.equal((await daemon.get('/v1/events/e', { token })).body.tenant, 't-1')
  assert.equal((await daemon.get('/v1/events/e')).status, 409)
})

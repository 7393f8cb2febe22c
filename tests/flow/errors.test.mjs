// Bad input gets the answer that was promised, as a problem that names what is wrong.
import { test, before } from 'node:test'
import assert from 'node:assert/strict'
import net from 'node:net'
import { startDaemon } from './lib/daemon.mjs'

let daemon
before(async () => {
  daemon = await startDaemon()
  await daemon.put('/v1/tenants/t-1', { timezone: 'Europe/London' })
  await daemon.put('/v1/mailings/m-1', { tenant: 't-1' })
})

function isProblem(answer, status) {
  assert.equal(answer.status, status, answer.text)
  assert.equal(answer.headers.get('content-type'), 'application/problem+json')
  assert.equal(answer.body.status, status)
  assert.ok(answer.body.title && answer.body.type)
  return answer.body
}

test('a body that is no JSON is 400', async () => {
  for (const body of ['', '{', '{"timezone":}', 'hello', '{"timezone":"UTC"} x'])
    isProblem(await daemon.request('PUT', '/v1/tenants/t-1', { body, type: 'application/json' }), 400)
})

test('unknown fields, wrong types and bad values are 422 and all named at once', async () => {
  const body = isProblem(await daemon.put('/v1/mailings/m-2', { tenant: 7, colour: 'red', track_opens: 'yes' }), 422)
  assert.deepEqual(body.errors.map((e) => e.pointer).sort(), ['/colour', '/tenant', '/track_opens'])
  for (const error of body.errors) assert.ok(error.detail.length > 5)
})

test('a path that does not exist is 404, a method that does not fit is 405 and names the others', async () => {
  isProblem(await daemon.get('/v1/nowhere'), 404)
  isProblem(await daemon.get('/v1/mailings/none/stats'), 404)
  const answer = await daemon.delete('/v1/tenants/t-1')
  isProblem(answer, 405)
  assert.match(answer.headers.get('allow'), /GET/)
  assert.match(answer.headers.get('allow'), /PUT/)
})

test('a body over its maximum is 413 and nothing of it is kept', async () => {
  isProblem(await daemon.put('/v1/tenants/big', { timezone: 'x'.repeat(100_000) }), 413)
  isProblem(await daemon.get('/v1/tenants/big'), 404)
})

test('the limit of a list is from 1 to 1000', async () => {
  for (const limit of ['0', '1001', '-1', 'x', '1.5', ''])
    assert.equal(isProblem(await daemon.get(`/v1/messages?limit=${limit}`), 422).errors[0].pointer, '/limit', limit)
  assert.equal((await daemon.get('/v1/messages?limit=1000')).status, 200)
})

test('a cursor that is foreign or nonsense gives an empty page', async () => {
  await daemon.bulk('/v1/mailings/m-1/messages', ['a', 'b', 'c'].map((name) => ({ recipient: `${name}@x.org` })))
  const messages = (await daemon.get('/v1/messages?limit=1')).body.next
  await daemon.post('/v1/tokens', { name: 'n', scopes: ['read'] })
  await daemon.post('/v1/tokens', { name: 'n', scopes: ['read'] })
  const tokens = (await daemon.get('/v1/tokens?limit=1')).body.next
  assert.ok(messages && tokens)
  const lists = ['/v1/messages', '/v1/tokens', '/v1/audit', '/v1/suppressions', '/v1/mailings/m-1/failures', '/v1/mailings/m-1/links']
  for (const list of lists)
    for (const cursor of ['nonsense', '1', '%00', 'AAAA', list === '/v1/messages' ? tokens : messages]) {
      const { status, body } = await daemon.get(`${list}?after=${encodeURIComponent(cursor)}`)
      assert.deepEqual([status, body], [200, { items: [], next: null }], `${list} after ${cursor}`)
    }
})

test('lines of a bulk body stand and fall alone', async () => {
  const lines = ['{"recipient":"good@x.org"}', '', '{"recipient":', '{"recipient":"x@x.org","colour":1}', '{}', '{"recipient":"fine@x.org"}']
  const { status, body } = await daemon.bulk('/v1/mailings/m-1/messages', lines)
  assert.equal(status, 200)
  assert.equal(body.accepted, 2)
  assert.deepEqual(body.rejected.map((r) => r.line), [3, 4, 5])
})

test('a bulk body may be a JSON array, whose items are counted from 1', async () => {
  const items = [{ recipient: 'one@x.org' }, { recipient: 7 }, { recipient: 'two@x.org' }]
  const { body } = await daemon.post('/v1/mailings/m-1/messages', items)
  assert.equal(body.accepted, 2)
  assert.deepEqual(body.rejected.map((r) => r.line), [2])
  assert.equal((await daemon.post('/v1/mailings/m-1/messages', { recipient: 'one@x.org' })).status, 422)
})

test('a JSON text has its maximum, also where a body may have any size', async () => {
  const items = Array.from({ length: 17 }, () => ({ recipient: 'x'.repeat(1 << 20) }))
  for (const path of ['/v1/mailings/m-1/messages', '/v1/links']) {
    const answer = await daemon.post(path, items)
    isProblem(answer, 413)
    assert.match(answer.body.detail, /send NDJSON/)
  }
  const { body } = await daemon.bulk('/v1/mailings/m-1/messages', items)
  assert.deepEqual([body.accepted, body.rejected_count], [0, 17])
})

// A request written by hand, and all that comes back.
function raw(bytes) {
  return new Promise((resolve, reject) => {
    const [host, port] = daemon.http.split(':')
    const socket = net.connect(Number(port), host, () => socket.write(bytes))
    let text = ''
    socket.setEncoding('latin1').on('data', (piece) => (text += piece))
    socket.on('end', () => resolve(text)).on('error', reject)
  })
}

test('a head that is no HTTP or too large is refused and the connection closed', async () => {
  assert.match(await raw('nonsense\r\n\r\n'), /^HTTP\/1\.1 400 /)
  assert.match(await raw('GET /livez HTTP/1.1\r\n\r\n'), /^HTTP\/1\.1 400 /, 'no Host')
  assert.match(await raw(`GET /livez HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(20_000)}\r\n\r\n`), /^HTTP\/1\.1 431 /)
})

test('ids may hold any character, percent-encoded', async () => {
  for (const id of ['a/b', 'ü', 'x y', '%', 'a'.repeat(128)]) {
    const path = `/v1/tenants/${encodeURIComponent(id)}`
    assert.equal((await daemon.put(path, {})).body.id, id)
    assert.equal((await daemon.get(path)).body.id, id)
  }
  isProblem(await daemon.put(`/v1/tenants/${'a'.repeat(129)}`, {}), 422)
})

test('HEAD answers like GET without a body', async () => {
  const answer = await daemon.request('HEAD', '/v1/tenants/t-1')
  assert.equal(answer.status, 200)
  assert.ok(Number(answer.headers.get('content-length')) > 0)
})

test('the daemon is still there after all of it', async () => {
  assert.equal(await daemon.stop(), 0)
})

// Tokens: who may do what, and how the first one is made.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { cli, folder, startDaemon } from './lib/daemon.mjs'

// A token straight into the store of a daemon that does not run yet.
function firstToken(data, ...args) {
  const made = cli(['token', 'create', 'first', '--data', data, ...args])
  assert.equal(made.status, 0, made.stderr)
  return made.stdout.trim()
}

test('without any token everything but health answers 401 and names the command', async () => {
  const daemon = await startDaemon({ dev: false })
  assert.equal((await daemon.get('/livez')).status, 200)
  assert.equal((await daemon.get('/readyz')).status, 200)
  for (const [method, path] of [['GET', '/metrics'], ['GET', '/openapi.yaml'], ['GET', '/v1/overview'], ['GET', '/'],
    ['GET', '/v1/tenants/t-1'], ['PUT', '/v1/tenants/t-1'], ['POST', '/v1/messages'], ['GET', '/v1/tokens']]) {
    const answer = await daemon.request(method, path, method === 'GET' ? {} : { body: {} })
    assert.equal(answer.status, 401, `${method} ${path}`)
    assert.equal(answer.headers.get('content-type'), 'application/problem+json')
    assert.match(answer.body.detail, /posthouse token create NAME --scope read,write,admin --data DIR/)
    assert.match(answer.headers.get('www-authenticate'), path === '/' ? /^Basic / : /^Bearer /)
  }
  assert.equal(await daemon.stop(), 0)
})

test('the first token is made in the store, later ones through the daemon', async () => {
  const data = folder()
  const admin = firstToken(data, '--scope', 'admin')
  const daemon = await startDaemon({ dev: false, data, token: admin })

  const held = cli(['token', 'create', 'second', '--scope', 'read', '--data', data])
  assert.equal(held.status, 1)
  assert.match(held.stderr, /--url/)

  const made = await daemon.cli(['token', 'create', 'second', '--scope', 'read,write', '--json'])
  assert.equal(made.status, 0, made.stderr)
  const token = JSON.parse(made.stdout)
  assert.deepEqual(token.scopes, ['read', 'write'])
  assert.equal((await daemon.put('/v1/tenants/t-1', {}, { token: token.token })).status, 200)
  assert.equal((await daemon.get('/v1/tokens', { token: token.token })).status, 403)

  await daemon.kill()
  await daemon.start()
  assert.equal((await daemon.get('/v1/tenants/t-1', { token: token.token })).status, 200, 'tokens survive a kill')
  await daemon.stop()
})

test('a token opens what its scope says, and nothing after it was revoked', async () => {
  const daemon = await startDaemon()
  const token = async (...scopes) => (await daemon.post('/v1/tokens', { name: 'n', scopes })).body
  const [read, write, admin] = [await token('read'), await token('write'), await token('admin')]
  const statuses = async ({ token }) => [
    (await daemon.put('/v1/tenants/t-1', {}, { token })).status,
    (await daemon.get('/v1/tenants/t-1', { token })).status,
    (await daemon.get('/v1/audit', { token })).status,
  ]
  assert.deepEqual(await statuses(write), [200, 403, 403])
  assert.deepEqual(await statuses(read), [403, 200, 403])
  assert.deepEqual(await statuses(admin), [200, 200, 200])
  assert.deepEqual(await statuses({ token: 'ph_nonsense' }), [401, 401, 401])

  assert.equal((await daemon.delete(`/v1/tokens/${read.id}`)).status, 204)
  assert.deepEqual(await statuses(read), [401, 401, 401])
  assert.equal((await daemon.delete('/v1/tokens/nobody')).status, 404)
  const listed = await daemon.list('/v1/tokens', 2)
  assert.deepEqual(listed.map((t) => [t.id, t.revoked_at === null]), [[read.id, false], [write.id, true], [admin.id, true]])
  for (const item of listed) assert.equal(item.token, undefined, 'the text is shown once')
  await daemon.stop()
})

test('a token bound to a tenant sees and changes nothing of others', async () => {
  const daemon = await startDaemon()
  for (const id of ['t-1', 't-2']) {
    await daemon.put(`/v1/tenants/${id}`, {})
    await daemon.put(`/v1/mailings/m-of-${id}`, { tenant: id })
    await daemon.bulk(`/v1/mailings/m-of-${id}/messages`, [{ recipient: `a@${id}.org`, id: `msg-${id}` }])
  }
  const bound = (await daemon.post('/v1/tokens', { name: 'b', scopes: ['read', 'write', 'admin'], tenant: 't-1' })).body.token
  const as = { token: bound }
  assert.equal((await daemon.get('/v1/tenants/t-1', as)).status, 200)
  assert.equal((await daemon.get('/v1/tenants/t-2', as)).status, 404)
  assert.equal((await daemon.put('/v1/tenants/t-2', {}, as)).status, 403)
  assert.equal((await daemon.get('/v1/mailings/m-of-t-2/stats', as)).status, 404)
  assert.equal((await daemon.get('/v1/messages/msg-t-2', as)).status, 404)
  assert.deepEqual((await daemon.get('/v1/messages', as)).body.items.map((m) => m.id), ['msg-t-1'])
  assert.equal((await daemon.bulk('/v1/mailings/m-of-t-2/messages', [{ recipient: 'x@t-2.org' }], as)).status, 404)
  for (const path of ['/v1/tokens', '/v1/audit', '/v1/overview', '/metrics', '/'])
    assert.equal((await daemon.get(path, as)).status, 403, path)
  await daemon.stop()
})

test('a token may be bound to a tenant that does not exist yet', async () => {
  const daemon = await startDaemon()
  await daemon.put('/v1/tenants/t-1', {})
  await daemon.put('/v1/mailings/m-1', { tenant: 't-1' })
  const as = { token: (await daemon.post('/v1/tokens', { name: 'b', scopes: ['read', 'write'], tenant: 't-new' })).body.token }
  assert.equal((await daemon.get('/v1/mailings/m-1', as)).status, 404)
  assert.deepEqual((await daemon.get('/v1/messages', as)).body.items, [])
  assert.equal((await daemon.put('/v1/tenants/t-new', {}, as)).status, 200)
  assert.equal((await daemon.put('/v1/mailings/m-new', { tenant: 't-new' }, as)).status, 200)
  assert.equal((await daemon.get('/v1/mailings/m-new', as)).status, 200)
  assert.equal((await daemon.get('/v1/mailings/m-1', as)).status, 404)
  await daemon.stop()
})

test('--dev needs no token, but a wrong one is refused and strange web pages are kept out', async () => {
  const daemon = await startDaemon()
  assert.equal((await daemon.get('/v1/tokens')).status, 200)
  assert.equal((await daemon.get('/v1/tokens', { token: 'ph_wrong' })).status, 401)
  assert.equal((await daemon.get('/v1/tokens', { headers: { origin: 'https://evil.example' } })).status, 401)
  assert.equal((await daemon.get('/v1/tokens', { headers: { origin: daemon.url } })).status, 200)
  await daemon.stop()
})

test('a browser may give the token as a password, for the page only', async () => {
  const daemon = await startDaemon({ dev: false, data: folder() })
  await daemon.stop()
  const token = firstToken(daemon.data, '--scope', 'read')
  await daemon.start()
  const headers = { authorization: `Basic ${Buffer.from(`me:${token}`).toString('base64')}` }
  assert.equal((await daemon.get('/', { headers })).status, 200)
  assert.equal((await daemon.get('/v1/overview', { headers })).status, 401)
  await daemon.stop()
})

test('a public address without any token is refused at start', async () => {
  const data = folder()
  const refused = cli(['serve', '--data', data, '--http', '0.0.0.0:0', '--dev'])
  assert.equal(refused.status, 1)
  assert.match(refused.stderr, /refusing to listen on 0\.0\.0\.0:0 without any token.*posthouse token create/)
  firstToken(data, '--scope', 'read')
  const daemon = await startDaemon({ dev: false, data, http: '0.0.0.0:0' })
  assert.equal(await daemon.stop(), 0)
})

test('what a token may be is checked', async () => {
  const daemon = await startDaemon()
  const pointers = async (body) => {
    const { status, body: problem } = await daemon.post('/v1/tokens', body)
    assert.equal(status, 422)
    return problem.errors.map((e) => e.pointer)
  }
  assert.deepEqual(await pointers({ name: 'n', scopes: ['reed'] }), ['/scopes'])
  assert.deepEqual(await pointers({ name: 'n', scopes: [] }), ['/scopes'])
  assert.deepEqual(await pointers({ scopes: ['read'] }), ['/name'])
  assert.deepEqual(await pointers({ name: 'n', scopes: ['read'], queues: ['a,b'] }), ['/queues'])
  assert.deepEqual(await pointers({ name: 'n', scopes: ['read'], age: 7 }), ['/age'])
  for (const args of [['--scope', 'reed'], []]) assert.equal((await daemon.cli(['token', 'create', 'n', '--data', folder(), ...args])).status, 2)
  await daemon.stop()
})

test('tokens and their making are in the audit list', async () => {
  const daemon = await startDaemon()
  const { id } = (await daemon.post('/v1/tokens', { name: 'for reports', scopes: ['read'] })).body
  await daemon.delete(`/v1/tokens/${id}`)
  const items = await daemon.list('/v1/audit', 1)
  assert.deepEqual(items.map((e) => [e.who, e.action, e.subject, e.detail]),
    [['dev', 'token.revoke', id, null], ['dev', 'token.create', id, 'for reports']])
  await daemon.stop()
})

test('changes of sources are in the audit list, with the token that made them', async () => {
  const daemon = await startDaemon()
  const made = (await daemon.post('/v1/tokens', { name: 'n', scopes: ['write'] })).body
  const as = { token: made.token }
  const source = { type: 'mailgun', domain: 'mg.x.org', api_key: 'k', base_url: 'http://127.0.0.1:1' }
  for (let i = 0; i < 2; i++) assert.equal((await daemon.put('/v1/sources/mg', source, as)).status, 200)
  const window = { begin: new Date(Date.now() - 90e6).toISOString(), end: new Date(Date.now() - 86e6).toISOString() }
  assert.equal((await daemon.post('/v1/sources/mg/backfill', window, as)).status, 202)
  assert.equal((await daemon.delete('/v1/sources/mg/backfill', as)).status, 204)
  const items = (await daemon.list('/v1/audit')).filter((e) => e.subject === 'mg')
  assert.deepEqual(items.map((e) => e.action), ['source.cancel', 'source.backfill', 'source.change', 'source.create'])
  for (const item of items) assert.equal(item.who, made.id)
  await daemon.stop()
})

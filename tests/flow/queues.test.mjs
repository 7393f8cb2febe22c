// Policies of queues as PATCH changes them: word by word, and every mistake named at once.
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { startDaemon } from './lib/daemon.mjs'

let daemon
const shared = async () => (daemon ??= await startDaemon())
after(() => daemon?.stop())

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'

test('a patch of a queue changes the words it names, also inside of objects', async () => {
  const d = await shared()
  const patch = async (body) => (await d.patch('/v1/queues/q', body)).body
  await patch({ concurrency: 5, rate: { limit: 40, per: '60s' }, retain: { done: '1h', dead: '7d' }, keys: { a: { weight: 3 }, b: { concurrency: 2 } } })
  const changed = await patch({ rate: { limit: 50 }, retain: { dead: null }, keys: { a: null, c: { weight: 2 } } })
  assert.deepEqual([changed.concurrency, changed.rate, changed.retain, changed.keys], [5, { limit: 50, per: '60s' }, { done: '1h' }, { b: { concurrency: 2 }, c: { weight: 2 } }])
  const { version } = await patch({ rate: null })
  assert.equal(version, changed.version + 1)
  assert.deepEqual(await patch({ rate: null }).then(({ rate, version: same }) => [rate, same]), [undefined, version]) // said again it is no change
  assert.equal((await d.patch('/v1/queues/q', { rate: { limit: 5 } })).body.errors[0].pointer, '/rate/per')
})

test('a handler is changed in place, and one of another kind begins anew', async () => {
  const d = await shared()
  const handler = async (body) => (await d.patch('/v1/queues/calls', { handler: body })).body.handler
  await handler({ kind: 'http', url: 'https://example.org/a', secret: SECRET })
  assert.deepEqual(await handler({ timeout: '5s' }), { kind: 'http', url: 'https://example.org/a', secret: 'set', internal: true, timeout: '5s' })
  assert.deepEqual(await handler({ kind: 'pull' }), { kind: 'pull' })
  const bare = await d.patch('/v1/queues/calls', { handler: { kind: 'http', url: 'https://example.org/b' } })
  assert.deepEqual([bare.status, bare.body.errors[0].pointer], [422, '/handler/secret']) // that of before is gone
})

test('retry is there once: the policy where the queue has one, else the figure', async () => {
  const d = await shared()
  const shown = async () => {
    const { text, body } = await d.get('/v1/queues/again')
    assert.equal(text.match(/"retry":/g).length, 1)
    return [body.retry, body.retrying]
  }
  await d.post('/v1/jobs', { jobtype: 'a', queue: 'again', args: [] })
  const [{ lease }] = (await d.post('/v1/jobs/fetch', { queues: ['again'] })).body.jobs
  await d.post('/v1/jobs/fail', { failures: [{ lease }] })
  assert.deepEqual(await shown(), [1, 1])
  await d.patch('/v1/queues/again', { retry: { max: 3, backoff: 'fixed' } })
  await d.patch('/v1/queues/again', { retry: { base: '1m' } })
  assert.deepEqual(await shown(), [{ max: 3, backoff: 'fixed', base: '1m' }, 1])
  const listed = await d.cli(['queue', 'list'])
  assert.match(listed.stdout.replace(/\x1b\[\d*m/g, ''), /^again +0 +0 +0 +1 /m)
})

test('every unknown or impossible word of a policy is named at once', async () => {
  const d = await shared()
  const refused = await d.patch('/v1/queues/new', { nope: 1, concurrency: -1, weight: 'x', lease: 5, nope_too: 2 })
  assert.equal(refused.status, 422)
  assert.deepEqual(refused.body.errors.map(({ pointer }) => pointer).sort(), ['/concurrency', '/lease', '/nope', '/nope_too', '/weight'])
  assert.equal((await d.get('/v1/queues/new')).status, 404)
})

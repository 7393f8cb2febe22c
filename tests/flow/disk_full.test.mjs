// A disk that is full: clear refusals, reads as ever, nothing lost, and life again without a restart. The data directory
// lies on a small file system of its own, which only root can mount.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { cli, startDaemon, until } from './lib/daemon.mjs'
import { fill, smallDisk } from './lib/disk.mjs'
import { mailgun, now, post } from './lib/webhooks.mjs'

const KEY = 'key-of-the-tests'
const DISK_BYTES = 12 << 20

const lines = (from, count) => Array.from({ length: count }, (_, i) => ({ recipient: `r${from + i}@k.example`, provider_message_id: `${from + i}@k` }))
const opened = (i, id) => mailgun(KEY, { event: 'opened', id, timestamp: now() - 1, recipient: `r${i}@k.example`, message: { headers: { 'message-id': `${i}@k` } } })

function refused({ status, headers, body }) {
  assert.equal(status, 503)
  assert.ok(Number(headers.get('retry-after')) >= 1, 'an answer that says when to come again')
  assert.equal(body?.status ?? 503, 503)
}

test('a full disk refuses changes, serves reads, loses nothing and recovers by itself', async (t) => {
  const place = smallDisk(t, DISK_BYTES)
  if (!place) return t.skip('mounting a file system is not allowed here')
  const daemon = await startDaemon({ data: join(place, 'data') })
  t.after(() => daemon.kill())
  await daemon.put('/v1/tenants/t', { timezone: 'UTC' })
  await daemon.put('/v1/mailings/m', { tenant: 't', subject: 's' })
  await daemon.put('/v1/sources/in', { type: 'mailgun', tenant: 't', signing_key: KEY })
  assert.equal((await daemon.bulk('/v1/mailings/m/messages', lines(0, 1000))).body.accepted, 1000)
  assert.equal((await post(daemon, 'in', opened(1, 'before'))).status, 200)

  // Whatever fitted before it was full was answered and must be there.
  const free = fill(place)
  let from = 1000
  for (let refusals = 0; refusals < 3; ) {
    const answer = await daemon.bulk('/v1/mailings/m/messages', lines(from, 1000))
    if (answer.status === 200) from += answer.body.accepted
    else refused(answer), refusals++
  }
  const hook = opened(2, 'while-full')
  refused(await post(daemon, 'in', hook))
  refused(await daemon.put('/v1/tenants/t2', { timezone: 'UTC' }))
  assert.equal((await daemon.get('/readyz')).status, 503)
  assert.equal((await daemon.get('/livez')).status, 200)
  const full = (await daemon.get('/v1/mailings/m/stats')).body
  assert.deepEqual([full.messages, full.opened], [from, 1])
  assert.equal((await daemon.list('/v1/messages?mailing=m')).length, from)

  free()
  await until(async () => (await daemon.get('/readyz')).status === 200, 30_000, () => `not ready again:\n${daemon.stderr}`)
  assert.equal((await post(daemon, 'in', hook)).status, 200)
  assert.equal((await daemon.bulk('/v1/mailings/m/messages', lines(0, from))).body.duplicates, from)
  assert.equal((await daemon.bulk('/v1/mailings/m/messages', lines(from, 1000))).body.accepted, 1000)
  const after = (await daemon.get('/v1/mailings/m/stats')).body
  assert.deepEqual([after.messages, after.opened], [from + 1000, 2])
  assert.equal((await daemon.get('/v1/tenants/t2')).status, 404)
  assert.equal(await daemon.stop(), 0)
  const { status, stdout } = cli(['check', ...daemon.store])
  assert.equal(status, 0, stdout)
})

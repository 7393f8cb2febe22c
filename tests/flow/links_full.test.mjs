// Tracked links while the store cannot take clicks: the disk is full, or its writer stands still. The data directory lies
// on a small file system of its own, which only root can mount.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { checked, clicks, follow, SMALL_SPOOL, spoolIsThere } from './lib/clicks.mjs'
import { startDaemon, until } from './lib/daemon.mjs'
import { fill, smallDisk } from './lib/disk.mjs'

const DISK_BYTES = 64 << 20

async function prepare(daemon) {
  await daemon.put('/v1/tenants/t-1', {})
  await daemon.put('/v1/mailings/m-1', { tenant: 't-1' })
  const lines = Array.from({ length: 500 }, (_, i) => ({ recipient: `r${i}@x.example`, member: `r${i}` }))
  await daemon.bulk('/v1/mailings/m-1/messages', lines)
  await daemon.put('/v1/links/a', { url: 'https://shop.example.org/?m=%%{member}%%', tenant: 't-1', mailing: 'm-1' })
  for (let i = 0; i < 500; i += 100) assert.equal((await follow(daemon, `/r/a?m=r${i}`)).status, 302)
  await spoolIsThere(daemon)
}

test('readers are sent on from the spool while the disk is full, and every click is counted once afterwards', async (t) => {
  const place = smallDisk(t, DISK_BYTES)
  if (!place) return t.skip('mounting a file system is not allowed here')
  const daemon = await startDaemon({ data: join(place, 'data'), env: SMALL_SPOOL })
  t.after(() => daemon.kill())
  await prepare(daemon)
  const free = fill(place)
  let answered = 5
  for (let i = 0; i < 3; i++) await daemon.put(`/v1/tenants/full-${i}`, {})
  // Until the last free pages of the log are used up clicks may still be stored; then they go to the spool.
  await until(async () => {
    for (let i = 0; i < 100; i++) {
      const { status, headers } = await follow(daemon, `/r/a?m=r${i}`)
      assert.deepEqual([status, headers.location], [302, `https://shop.example.org/?m=r${i}`])
      answered++
    }
    return (await daemon.get('/readyz')).status === 503
  }, 30_000, () => `the disk never was full:\n${daemon.stderr}`)
  const metrics = (await daemon.get('/metrics')).text
  assert.match(metrics, /^posthouse_click_spool_records [1-9]/m)

  // Killed and started while it is still full: what the spool holds is not lost.
  free()
  await daemon.kill()
  await daemon.start()
  await until(async () => (await daemon.get('/readyz')).status === 200, 30_000, () => daemon.stderr)
  assert.equal(await clicks(daemon), answered)
  assert.equal((await follow(daemon, '/r/a?m=r1')).status, 302)
  assert.equal(await clicks(daemon), answered + 1)
  await checked(daemon)
})

test('the spool empties itself when there is space again, without a restart', async (t) => {
  const place = smallDisk(t, DISK_BYTES)
  if (!place) return t.skip('mounting a file system is not allowed here')
  const daemon = await startDaemon({ data: join(place, 'data'), env: SMALL_SPOOL })
  t.after(() => daemon.kill())
  await prepare(daemon)
  const free = fill(place)
  let answered = 5
  await until(async () => {
    const all = await Promise.all(Array.from({ length: 50 }, (_, i) => follow(daemon, `/r/a?m=r${i}`)))
    for (const { status } of all) assert.equal(status, 302)
    answered += all.length
    return (await daemon.get('/readyz')).status === 503
  }, 30_000)
  free()
  // Clicks go on while the spool empties.
  await until(async () => {
    assert.equal((await follow(daemon, '/r/a?m=r7')).status, 302)
    answered++
    return (await daemon.get('/readyz')).status === 200
  }, 30_000)
  await until(async () => (await clicks(daemon)) === answered, 10_000, () => `${answered} were answered`)
  await checked(daemon)
})

test('without a spool a store that cannot write gives an honest page with a link to go on by', async (t) => {
  const place = smallDisk(t, DISK_BYTES)
  if (!place) return t.skip('mounting a file system is not allowed here')
  const daemon = await startDaemon({ data: join(place, 'data'), env: { POSTHOUSE_LINKS_SPOOL: join(place, 'nowhere', 'spool') } })
  t.after(() => daemon.kill())
  await daemon.put('/v1/tenants/t-1', {})
  await daemon.put('/v1/links/a', { url: 'https://shop.example.org/?a=1&m=%%{member}%%', tenant: 't-1' })
  const free = fill(place)
  const busy = await until(async () => {
    const answer = await follow(daemon, '/r/a?m=ann')
    return answer.status === 503 && answer
  }, 30_000)
  assert.equal(busy.headers['retry-after'], '5')
  assert.equal(busy.headers['cache-control'], 'no-store')
  assert.equal(busy.headers.location, undefined)
  assert.match(busy.body, /<a rel="noreferrer" href="https:\/\/shop\.example\.org\/\?a=1&amp;m=ann">Continue to shop\.example\.org<\/a>/)
  assert.doesNotMatch(busy.body, /script|http-equiv/)
  assert.match((await daemon.get('/metrics')).text, /^posthouse_clicks_refused_total [1-9]/m)
  free()
  await until(async () => (await follow(daemon, '/r/a?m=ann')).status === 302, 30_000)
  await daemon.stop()
})

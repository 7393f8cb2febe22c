// Tracked links while nobody can write: another process holds the database's lock. With POSTHOUSE_TEST_SLOW=1 for a
// minute, else for some seconds.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { Agent } from 'node:http'
import { join } from 'node:path'
import { checked, clicks, follow, hold, pipeline, SPOOL_CLICKS, spoolIsThere } from './lib/clicks.mjs'
import { cli, folder, startDaemon, until } from './lib/daemon.mjs'

const STALL_MS = process.env.POSTHOUSE_TEST_SLOW ? 60_000 : 6_000
const REDIRECT_MS = 50 // from the spool
const PAGE = /<a rel="noreferrer" href="https:\/\/shop\.example\.org\/">Continue to shop\.example\.org<\/a>/

async function prepare(t, env = {}, room = SPOOL_CLICKS) {
  const daemon = await startDaemon({ env: { POSTHOUSE_LINKS_SPOOL_CLICKS: String(room), ...env } })
  t.after(() => daemon.kill())
  await daemon.put('/v1/tenants/t-1', {})
  await daemon.put('/v1/mailings/m-1', { tenant: 't-1' })
  const lines = Array.from({ length: 500 }, (_, i) => ({ recipient: `r${i}@x.example`, member: `r${i}` }))
  await daemon.bulk('/v1/mailings/m-1/messages', lines)
  await daemon.put('/v1/links/a', { url: 'https://shop.example.org/', tenant: 't-1', mailing: 'm-1' })
  for (let i = 0; i < 500; i += 100) assert.equal((await follow(daemon, `/r/a?m=r${i}`)).status, 302)
  await spoolIsThere(daemon, room)
  return daemon
}

// The store takes clicks again, and what the spool held is counted.
async function recovers(daemon, answered) {
  await until(async () => (await daemon.get('/readyz')).status === 200, 60_000)
  await until(async () => (await clicks(daemon)) === answered, 10_000, () => `${answered} were answered`)
  await checked(daemon)
}

function refusedWithALink({ headers, body }) {
  assert.equal(headers['retry-after'], '5')
  assert.equal(headers['cache-control'], 'no-store')
  assert.equal(headers.location, undefined)
  assert.match(body, PAGE)
}

test('readers are sent on while somebody else holds the database, and every click is counted once afterwards', async (t) => {
  const daemon = await prepare(t, {}, STALL_MS * 10) // one who clicks and waits is never as fast as that
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.after(() => agent.destroy())
  const release = await hold(t, daemon)
  assert.equal((await follow(daemon, '/r/a?m=r1', agent)).status, 302) // the one that finds out
  const took = []
  for (const end = performance.now() + STALL_MS; performance.now() < end; ) {
    const begun = performance.now()
    assert.equal((await follow(daemon, `/r/a?m=r${took.length % 500}`, agent)).status, 302)
    took.push(performance.now() - begun)
  }
  took.sort((a, b) => a - b)
  const [middle, late] = [took[took.length >> 1], took[Math.floor(took.length * 0.99)]]
  t.diagnostic(`${took.length} redirects from the spool: ${middle.toFixed(2)} ms in the middle, ${late.toFixed(2)} ms at 99 %`)
  assert.ok(took.length > 100, `${took.length} were answered`)
  assert.ok(middle < REDIRECT_MS, `${middle} ms`)
  assert.equal((await daemon.get('/readyz')).status, 503)
  assert.match((await daemon.get('/metrics')).text, /^posthouse_click_spool_records [1-9]/m)
  release()
  await recovers(daemon, 5 + 1 + took.length)
})

test('more than may wait are refused at once with a link to go on by, the others are sent on from the spool', async (t) => {
  const daemon = await prepare(t, { POSTHOUSE_LINKS_MAX_WAITING: '4' })
  const release = await hold(t, daemon)
  const answers = []
  const refused = () => answers.filter(({ status }) => status === 503)
  // How many meet in the line is chance: those whose turn it is leave it by the spool.
  await until(async () => {
    answers.push(...(await Promise.all(Array.from({ length: 50 }, (_, i) => follow(daemon, `/r/a?m=r${i}`, false)))))
    return refused().length > 0
  }, 30_000)
  const sent = answers.filter(({ status }) => status === 302).length
  assert.equal(sent + refused().length, answers.length)
  assert.ok(sent >= 4, `${sent} of them had a place`)
  for (const answer of refused()) refusedWithALink(answer)
  assert.match((await daemon.get('/metrics')).text, new RegExp(`^posthouse_clicks_refused_total ${refused().length}$`, 'm'))
  release()
  await recovers(daemon, 5 + sent)
})

test('a full spool refuses with a link to go on by, and what it held is counted once afterwards', async (t) => {
  const daemon = await prepare(t)
  const release = await hold(t, daemon)
  assert.equal((await follow(daemon, '/r/a?m=r1')).status, 302)
  const count = { 302: 0, 503: 0 }
  const paths = Array.from({ length: 1000 }, (_, i) => `/r/a?m=r${i % 500}`)
  while (!count[503]) await Promise.all(Array.from({ length: 32 }, () => pipeline(daemon, paths, ({ status }) => count[status]++)))
  assert.ok(count[302] + 1 <= SPOOL_CLICKS && count[302] > SPOOL_CLICKS * 0.95, `${count[302]} found room in the spool`)
  const refused = await until(async () => {
    const answer = await follow(daemon, '/r/a?m=r2')
    if (answer.status === 503) return answer
    count[302]++ // one more had room
  })
  refusedWithALink(refused)
  assert.equal((await daemon.get('/readyz')).status, 503)
  release()
  await recovers(daemon, 5 + 1 + count[302])
})

test('a store whose clicks a kill left in the spool does not move before they are in it', async (t) => {
  const daemon = await prepare(t)
  const place = join(folder(), 'moved')
  const before = await clicks(daemon)
  const release = await hold(t, daemon)
  for (let i = 0; i < 20; i++) assert.equal((await follow(daemon, `/r/a?m=r${i}`)).status, 302)
  await daemon.kill()
  release()
  const move = () => cli(['migrate', '--data', daemon.data, '--to', `sqlite:${place}`])
  const refused = move()
  assert.equal(refused.status, 1)
  assert.match(refused.stderr, /click-spool holds clicks that the store may not have: stop the daemon there; if it was killed, start and stop it once/)
  await daemon.start()
  assert.equal(await clicks(daemon), before + 20)
  await daemon.stop()
  assert.equal(move().status, 0)
  const moved = await startDaemon({ data: place })
  assert.equal(await clicks(moved), before + 20)
})

// The main job through the real doors: a provider of which everything is known is read, and every figure is the true one.
import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { until } from './lib/daemon.mjs'
import { startReading, timing } from './lib/reading.mjs'

// What a provider does in bad months, all of it at once. Late is a second, as recheck comes after two.
const bad = { 'late-share': 0.05, 'late-by': '24h', 'duplicate-share': 0.05, 'garbage-share': 0.01 }

// Most of a test is waiting for the next look, so several wait together.
describe('figures', { concurrency: 4 }, () => {
  for (const [api, title] of [
    ['events', 'every figure is the true one through the Events API'],
    ['logs', 'every figure is the true one through the Logs API'],
  ])
    test(title, async () => {
      const reading = await startReading({ sim: { recipients: 4000, ...bad }, source: { api } })
      await reading.settled()
      await reading.checked()
      const { events } = await reading.sim.truth()
      const results = await reading.results()
      assert.ok(results.duplicate >= events.duplicate, JSON.stringify(results)) // rechecks see them all again
      assert.ok(results.malformed >= events.malformed * 0.5 && results.unhandled > 0, JSON.stringify(results))
      assert.equal(results.parked, 0)
    })

  test('webhooks and polling together count nothing twice', async () => {
    const reading = await startReading({ sim: { recipients: 2000, ...bad } })
    await reading.sim.post('/sim/webhooks', { url: `${reading.daemon.url}/v1/hooks/mg`, share: 0.5, order: 'random', since: 'start' })
    await reading.settled()
    await reading.checked()
    const { webhook } = await reading.source()
    assert.ok(webhook.results.applied > 0 && webhook.results.duplicate > 0, JSON.stringify(webhook.results))
  })

  test('a late open is counted by the recheck without any other event', async () => {
    // The first look comes after the event is visible, so that only a second one can find it.
    const reading = await startReading({ sim: { recipients: 100 }, source: { timing: { ...timing, recheck: ['3s', '5s'] } } })
    await reading.settled()
    const { opened } = await reading.stats()
    const at = new Date().toISOString()
    await reading.good(reading.sim.post('/sim/events', { event: 'opened', recipient: await reading.quiet(), at, visible_in: '2500ms' }))
    await until(async () => Date.parse((await reading.lane('opens')).fetched_through) > Date.parse(at), 10_000)
    const live = (await reading.lane('opens')).results.applied
    await until(async () => (await reading.stats()).opened === opened + 1, 10_000)
    assert.equal((await reading.lane('opens')).results.applied, live)
    assert.ok((await reading.lane('recheck')).results.applied >= 1)
    await reading.exact()
    await reading.checked()
  })
})

// Which lane a request was sent by; nothing is old enough for a recheck where this is asked.
const laneOf = ({ target }) => (!target.includes('opened') ? 'others' : target.includes('delivered') ? 'backfill' : 'opens')

describe('turns', () => {
  // The mailing is a day old and nothing of it was read yet: 200 pages wait in the live lanes, as many in a backfill.
  test('while the opens of a large mailing wait, bounces and complaints come in time and a backfill moves on', async () => {
    const sent = Date.now() - 26 * 3_600_000
    const reading = await startReading({ sim: { recipients: 30_000, 'compress-time': 1, 'sent-ago': '26h' }, sent_at: new Date(sent).toISOString(), polled: false })
    await reading.sim.fault({ status: 'delay', delay_ms: 20 })
    await reading.put({ timing: { ...timing, recheck: ['29d'] } })
    const backfill = { begin: new Date(sent - 3_600_000).toISOString(), end: new Date(sent + 20 * 3_600_000).toISOString() }
    assert.equal((await reading.daemon.post('/v1/sources/mg/backfill', backfill)).status, 202)
    const truth = await reading.sim.truth()

    // Some of each is known while most opens still wait.
    const soon = await until(async () => {
      const { bounce, complaint, unsubscribe } = await reading.suppressed()
      const figures = await reading.stats()
      const { opened, failed_permanent, complained } = figures // a suppression may come of an event that sets neither
      return bounce > 0 && complaint > 0 && unsubscribe > 0 && failed_permanent > 0 && complained > 0 && opened > 0 && figures
    }, 30_000)
    assert.ok(soon.opened < truth.stats.opened, `${soon.opened} of ${truth.stats.opened}`)
    assert.ok((await reading.source()).lanes.filter(({ lane, events }) => lane !== 'recheck' && events > 0).length === 3)

    await until(async () => (await reading.sim.requests()).length >= 120, 30_000)
    const asked = (await reading.sim.requests()).slice(0, 120)
    const count = { opens: 0, others: 0, backfill: 0 }
    for (const request of asked) count[laneOf(request)]++
    assert.ok(count.others >= 30 && count.opens >= 45, JSON.stringify(count)) // 3 and 6 of 12, give or take who is ready
    assert.ok(count.backfill >= 4 && count.backfill <= 12, JSON.stringify(count)) // 1 of 12
    await reading.sim.healthy()
    await reading.exact()
    await reading.checked()
  })
})

// A provider that fails in every way it can: nothing stalls, nothing is lost, and the source says what happens.
import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { until } from './lib/daemon.mjs'
import { startReading, timing } from './lib/reading.mjs'

const later = (reading, changes) => startReading({ polled: false, ...reading, sim: { recipients: 500, ...changes } })
const instant = (ago_ms) => new Date(Date.now() - ago_ms).toISOString()

describe('faults of the provider', { concurrency: 6 }, () => {
  test('a next page on another host is asked of our own', async () => {
    const reading = await later()
    // Where the provider points to somebody listens, and hears nothing.
    const other = await later()
    await reading.sim.fault({ status: 'other_host', host: other.sim.url })
    await reading.put()
    await reading.exact()
    assert.ok((await reading.sim.requests()).some(({ target, items }) => /events\/[^?]+\?/.test(target) && items > 0))
    assert.deepEqual(await other.sim.requests(), [])
  })

  for (const [status, title] of [
    ['malformed_page', 'a page of 300 malformed items is passed'],
    ['null_headers', 'a page of 300 items without headers is passed'],
  ])
    test(title, async () => {
      const reading = await later()
      await reading.sim.fault({ status, count: 1, match: 'opened' })
      await reading.put()
      await reading.settled()
      assert.equal((await reading.lane('opens')).results.malformed, 300)
      assert.equal((await reading.warning('malformed')).code, 'malformed')
      await reading.checked()
    })

  test('a page token that repeats ends the run, and the rest is read from the position', async () => {
    const reading = await later()
    await reading.sim.fault({ status: 'repeat_token', count: 3, match: 'delivered' })
    await reading.put()
    await reading.settled()
    await reading.checked()
  })

  test('a page token that expired begins again at the position', async () => {
    const reading = await later()
    await reading.sim.fault({ status: 'expired_token', count: 1 })
    await reading.put()
    await reading.settled()
    await reading.checked()
  })

  test('bursts of 5xx, broken bodies and garbage only cost time', async () => {
    const reading = await later()
    for (const fault of [{ status: 503, count: 2 }, { status: 'broken', count: 1 }, { status: 'garbage', count: 1 }, { status: 500, count: 1 }, { status: 'no_items', count: 1 }]) await reading.sim.fault(fault)
    await reading.put()
    await until(async () => (await reading.source()).lanes.some(({ state, last_error }) => state === 'waiting' && last_error), 10_000)
    await reading.settled(60_000)
    assert.deepEqual((await reading.source()).lanes.map(({ last_error }) => last_error), [null, null, null, null])
    await reading.checked()
  })

  test('a rate limit is waited for without a request', async () => {
    const reading = await later()
    await reading.sim.fault({ status: 429, count: 1, retry_after: 2 })
    await reading.put()
    const lane = await until(async () => (await reading.source()).lanes.find(({ state }) => state === 'waiting'), 10_000)
    assert.ok(Date.parse(lane.next_run_at) > Date.now() && lane.last_error.includes('429'), JSON.stringify(lane))
    await reading.settled()
    const asked = await reading.sim.requests()
    const refused = asked.find(({ status }) => status === 429)
    // What was under way together with it may have been answered; after that comes nothing for two seconds.
    const next = asked.find(({ at }) => Date.parse(at) > Date.parse(refused.at) + 200)
    assert.ok(Date.parse(next.at) - Date.parse(refused.at) >= 1900, `${refused.at} ${next.at}`)
    await reading.checked()
  })

  test('refused credentials are said, and a new key is tried at once', async () => {
    const reading = await later()
    await reading.put({ api_key: 'key-wrong' })
    const warning = await until(() => reading.warning('credentials_refused'), 10_000)
    assert.ok(!JSON.stringify(warning).includes('key-wrong'))
    const { lanes, api_key } = await reading.source()
    assert.equal(api_key, 'set')
    assert.ok(lanes.some(({ state, last_error }) => state === 'error' && last_error))
    await reading.put()
    await reading.settled() // the next try would have been in five minutes
    assert.equal(await reading.warning('credentials_refused'), undefined)
  })
})

describe('what a source warns about', { concurrency: 4 }, () => {
  test('a provider that says nothing about a mailing of two hours ago', async () => {
    const reading = await later({ sent_at: instant(3 * 3_600_000) })
    await reading.sim.fault({ status: 401 })
    await reading.put()
    const warning = await until(() => reading.warning('no_events'), 10_000)
    assert.ok(warning.detail && Date.parse(warning.since))
    await reading.sim.healthy()
    await reading.put()
    await until(async () => !(await reading.warning('no_events')), 10_000)
  })

  test('time that the provider does not keep any more', async () => {
    const reading = await later()
    await reading.put({ timing: { ...timing, retention: '6s' } })
    await reading.settled()
    await reading.daemon.stop()
    const stopped = Date.now()
    await until(() => Date.now() - stopped > 8_000, 30_000)
    await reading.daemon.start()
    const warning = await until(() => reading.warning('retention_exceeded'), 10_000)
    assert.match(warning.detail, /\d{4}-\d\d-\d\dT.*\d{4}-\d\d-\d\dT/)
    assert.equal((await reading.source()).gaps.length > 0, true)
    await reading.exact()
  })
})

// A provider that fails in every way it can: nothing stalls, nothing is lost, and the source says what happens.
import http from 'node:http'
import { after, describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { until } from './lib/daemon.mjs'
import { startReading, timing } from './lib/reading.mjs'

const later = ({ sim, ...reading } = {}) => startReading({ polled: false, ...reading, sim: { recipients: 500, ...sim } })
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

// Events a day old, each of a millisecond of its own, and one of an opening that nobody else shares.
async function loneOpening(sim) {
  const { items } = (await sim.get(`/v3/${sim.domain}/events?event=opened&limit=300&ascending=yes&begin=${Date.now() / 1000 - 30 * 3600}`)).body
  const good = items.filter(({ timestamp, recipient }) => timestamp && recipient)
  const ms = ({ timestamp }) => Math.floor(Number(timestamp) * 1000)
  const alone = (item) => good.every((other) => other === item || (other.recipient !== item.recipient && ms(other) !== ms(item)))
  return good.slice(10, -10).find(alone)
}

test('a body cut at one item is isolated to a millisecond, and a recheck closes the hole when the provider heals', async () => {
  const sent = Date.now() - 26 * 3_600_000
  const reading = await startReading({
    sim: { recipients: 500, 'compress-time': 1, 'sent-ago': '26h' },
    source: { timing: { ...timing, recheck: ['1s', '2s'] } },
    sent_at: new Date(sent).toISOString(),
    polled: false,
  })
  // Sources of a tenant whose newest mailing is a day old are looked at less often.
  await reading.good(reading.daemon.put('/v1/mailings/m-2', { tenant: 't', sent_at: new Date().toISOString() }))
  const { timestamp } = await loneOpening(reading.sim)
  const at = Math.floor(Number(timestamp) * 1000)
  await reading.sim.fault({ status: 'poison', at: new Date(at).toISOString(), count: 100_000 })
  await reading.put()

  // Everything is read but the one opening; the hole has its place, its size and its warning.
  const truth = (await reading.sim.truth()).stats
  const expected = { ...truth, opened: truth.opened - 1, open_rate: Number(((truth.opened - 1) / truth.messages).toFixed(4)) }
  const counted = ({ opened_human, opened_machine, ...figures }) => ({ ...figures, opens: opened_human + opened_machine })
  const wanted = counted({ ...expected, first_event_at: Date.parse(truth.first_event_at), last_event_at: Date.parse(truth.last_event_at) })
  const found = async () => {
    const stats = await reading.stats()
    return counted({ ...stats, first_event_at: Date.parse(stats.first_event_at), last_event_at: Date.parse(stats.last_event_at) })
  }
  await until(async () => (await reading.warning('unread_gap')) && (await found()).opened === expected.opened && (await found()).delivered === truth.delivered, 60_000)
  const now = await found()
  assert.ok(now.opens >= wanted.opens - 2 && now.opens < wanted.opens, JSON.stringify([now, wanted]))
  assert.deepEqual({ ...now, opens: 0 }, { ...wanted, opens: 0 })
  const holes = (await reading.source()).coverage.filter(({ passes }) => passes === 0)
  assert.equal(holes.length, 1, JSON.stringify(holes))
  assert.ok(Date.parse(holes[0].begin) <= at && Date.parse(holes[0].end) >= at && Date.parse(holes[0].end) - Date.parse(holes[0].begin) <= 1, JSON.stringify(holes))
  await reading.checked()

  await reading.sim.healthy()
  await reading.settled()
  assert.equal(await reading.warning('unread_gap'), undefined)
  assert.deepEqual((await reading.source()).coverage.filter(({ passes, settled }) => passes === 0 && !settled), [])
  assert.ok((await reading.lane('recheck')).results.applied >= 1)
  await reading.checked()
})

// The provider behind a clock of our choosing.
const doors = []
after(() => doors.forEach((door) => door.close()))
async function withClock(sim) {
  const clock = { behind_ms: 0 }
  const door = http.createServer(async (request, response) => {
    const answer = await fetch(sim.url + request.url, { headers: { authorization: request.headers.authorization } })
    response.setHeader('date', new Date(Date.now() - clock.behind_ms).toUTCString())
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(await answer.text())
  })
  await new Promise((done) => door.listen(0, '127.0.0.1', done))
  doors.push(door)
  return Object.assign(clock, { url: `http://127.0.0.1:${door.address().port}` })
}

test('a clock far from that of the provider is warned about, nothing is read ahead of it, and the warning goes by itself', async () => {
  const reading = await later({ sent_at: instant(20 * 60_000), sim: { 'sent-ago': '20m' } })
  const clock = await withClock(reading.sim)
  clock.behind_ms = 300_000
  await reading.put({ base_url: clock.url })
  const warning = await until(() => reading.warning('clock_skew'), 10_000)
  assert.match(warning.detail, /our clock is (299|300|301) s ahead of the provider's/)
  const { lanes } = await reading.source()
  for (const { lane, fetched_through } of lanes)
    if (lane === 'opens' || lane === 'others') assert.ok(fetched_through === null || Date.parse(fetched_through) <= Date.now() - 298_000, `${lane} ${fetched_through}`)
  clock.behind_ms = 0
  await until(async () => !(await reading.warning('clock_skew')), 20_000)
  await reading.settled()
  await reading.checked()
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

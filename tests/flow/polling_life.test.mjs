// Reading goes on: through restarts, kills and backfills.
import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { until } from './lib/daemon.mjs'
import { startReading, timing } from './lib/reading.mjs'

const hours = (n) => new Date(Date.now() - n * 3_600_000).toISOString()

describe('a reader that ends and begins again', { concurrency: 3 }, () => {
  test('killed again and again while it reads, it loses nothing and counts nothing twice', async () => {
    const sim = { recipients: 8000, 'compress-time': 8640, 'late-share': 0.05, 'late-by': '2h', 'duplicate-share': 0.05, 'garbage-share': 0.01 }
    const reading = await startReading({ sim })
    for (let kills = 0; kills < 8; kills++) {
      // A moment of the run that nobody chose: some pages after the last start.
      const after = (await reading.sim.requests()).length + Math.ceil(Math.random() * 8)
      await until(async () => (await reading.sim.requests()).length >= after, 20_000)
      await reading.daemon.kill()
      if (kills % 4 === 0) await reading.checked()
      await reading.daemon.start()
    }
    await reading.settled(60_000)
    await reading.checked()
  })

  test('a backfill is alone, survives a restart, and what it read stays', async () => {
    const reading = await startReading({ sim: { recipients: 3000, 'compress-time': 1, 'sent-ago': '26h' }, sent_at: hours(26), source: { timing: { ...timing, recheck: ['29d'] } } })
    await reading.exact()
    const before = await reading.results()
    await reading.sim.fault({ status: 'delay', delay_ms: 200, match: 'opened+OR+clicked+OR+delivered' })
    const window = { begin: hours(27), end: hours(1) }
    const backfill = '/v1/sources/mg/backfill'
    assert.equal((await reading.daemon.post(backfill, window)).status, 202)
    assert.equal((await reading.daemon.post(backfill, window)).status, 409)
    await until(async () => (await reading.lane('backfill')).events > 0, 20_000)
    await reading.daemon.kill()
    await reading.daemon.start()
    const lane = await reading.lane('backfill')
    assert.equal(Date.parse(lane.window.begin), Date.parse(window.begin))
    assert.equal((await reading.daemon.post(backfill, window)).status, 409)
    await reading.sim.healthy()
    await until(async () => (await reading.lane('backfill')).window === null, 30_000)

    // Everything was known already: each event a duplicate, no row moved.
    const { applied, unchanged, duplicate } = await reading.results()
    assert.equal(applied + unchanged, before.applied + before.unchanged)
    assert.ok(duplicate > before.duplicate)
    await reading.exact()
    await reading.checked()
  })

  test('a cancelled backfill stops after the page in hand', async () => {
    const reading = await startReading({ sim: { recipients: 3000, 'compress-time': 1, 'sent-ago': '26h' }, sent_at: hours(26), source: { timing: { ...timing, recheck: ['29d'] } } })
    await reading.exact()
    await reading.sim.fault({ status: 'delay', delay_ms: 300, match: 'opened+OR+clicked+OR+delivered' })
    assert.equal((await reading.daemon.post('/v1/sources/mg/backfill', { begin: hours(27), end: hours(1) })).status, 202)
    await until(async () => (await reading.lane('backfill')).events > 0, 20_000)
    assert.equal((await reading.daemon.delete('/v1/sources/mg/backfill')).status, 204)
    await until(async () => (await reading.lane('backfill')).window === null, 10_000)
    const { events, fetched_through } = await reading.lane('backfill')
    assert.equal((await reading.daemon.delete('/v1/sources/mg/backfill')).status, 204)
    await reading.daemon.restart()
    const asked = (await reading.sim.requests()).at(-1).n
    await until(async () => (await reading.sim.requests(asked)).length >= 2, 40_000) // the live lanes go on, it does not
    assert.ok((await reading.sim.requests(asked)).every(({ target }) => !target.includes('opened+OR+clicked+OR+delivered')))
    assert.deepEqual([(await reading.lane('backfill')).events, (await reading.lane('backfill')).fetched_through], [events, fetched_through])
    await reading.checked()
  })

  test('a backfill that asks for nothing is refused where it is wrong', async () => {
    const reading = await startReading({ sim: { recipients: 10 } })
    for (const [body, pointer] of [
      [{ begin: hours(1), end: hours(2) }, '/end'],
      [{ begin: hours(-1), end: hours(-2) }, '/begin'],
      [{ end: hours(1) }, '/begin'],
      [{ begin: 'soon', end: hours(1) }, '/begin'],
    ]) {
      const answer = await reading.daemon.post('/v1/sources/mg/backfill', body)
      assert.equal(answer.status, 422, answer.text)
      assert.ok(answer.text.includes(`"${pointer}"`), answer.text)
    }
  })
})

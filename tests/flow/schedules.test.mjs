// Jobs by the clock, over HTTP and by the command line.
import assert from 'node:assert/strict'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { startDaemon, until } from './lib/daemon.mjs'

const job = { jobtype: 'tick', queue: 'q', args: [1] }

test('a schedule runs its job by the clock, once, also through a kill', async () => {
  const d = await startDaemon()
  const put = await d.put('/v1/schedules/often', { cron: '@every 1s', job: { ...job, custom: { mine: 1 } }, overlap: 'allow' })
  assert.equal(put.status, 200, put.text)
  const nominal = new Map()
  const work = async () => {
    const { jobs } = (await d.post('/v1/jobs/fetch', { queues: ['q'], max: 100 })).body
    for (const { custom, jid } of jobs) {
      assert.equal(custom.mine, 1)
      nominal.set(custom.nominal_at, (nominal.get(custom.nominal_at) ?? new Set()).add(jid))
    }
    if (jobs.length) await d.post('/v1/jobs/ack', { leases: jobs.map((one) => one.lease) })
  }
  await until(async () => (await work(), nominal.size >= 2))
  await d.kill()
  await d.start()
  const seen = nominal.size
  await until(async () => (await work(), nominal.size >= seen + 2))
  assert.ok([...nominal.values()].every((jids) => jids.size === 1))
  const { body } = await d.get('/v1/schedules/often')
  assert.equal(body.last.state === 'done' || body.last.state === 'live', true)
  await d.stop()
})

test('a schedule over HTTP shows what comes, runs by hand and refuses what cannot be', async () => {
  const d = await startDaemon()
  const { body } = await d.put('/v1/schedules/nightly', { cron: '30 1 * * *', timezone: 'Europe/London', job })
  assert.equal(body.next.length, 5)
  assert.deepEqual([body.overlap, body.catch_up, body.builtin, body.missed, body.last, body.after], ['skip', 'last', false, [], null, null])
  assert.equal((await d.put('/v1/schedules/after', { cron: '@daily', job, after: 'nightly' })).status, 200)
  assert.equal((await d.delete('/v1/schedules/nightly')).status, 409)
  const refused = async (more) => {
    const answer = await d.put('/v1/schedules/bad', { cron: '@daily', job, ...more })
    assert.equal(answer.status, 422)
    return answer.body.errors[0]
  }
  assert.equal((await refused({ timezone: 'BST' })).pointer, '/timezone')
  assert.match((await refused({ timezone: 'Europe/Lodnon' })).detail, /Europe\/London/)
  assert.equal((await refused({ cron: '1 2 3 4' })).pointer, '/cron')
  assert.equal((await refused({ job: { jobtype: 'posthouse.own', args: [] } })).pointer, '/job/jobtype')
  assert.equal((await refused({ nonsense: 1 })).pointer, '/nonsense')
  assert.equal((await refused({ after: 'nobody' })).pointer, '/after')
  const ran = await d.post('/v1/schedules/nightly/run', { at: '2026-03-29T01:00:00Z' })
  assert.equal(ran.status, 202)
  assert.match(ran.body.run, /^r-/)
  const [{ custom, lease }] = (await d.post('/v1/jobs/fetch', { queues: ['q'] })).body.jobs
  assert.equal(custom.nominal_at, '2026-03-29T01:00:00Z')
  await d.post('/v1/jobs/ack', { leases: [lease] })
  const { last } = (await d.get('/v1/schedules/nightly')).body
  assert.deepEqual([last.run, last.at, last.state, last.done], [ran.body.run, '2026-03-29T01:00:00Z', 'done', 1])
  assert.equal((await d.post('/v1/schedules/nightly/run', { at: 'noon' })).status, 422)
  assert.equal((await d.post('/v1/schedules/nobody/run', {})).status, 404)
  assert.deepEqual((await d.get('/v1/schedules')).body.items.map((item) => item.id), ['after', 'keep.keys', 'keep.log', 'keep.parked', 'nightly'])
  assert.equal((await d.delete('/v1/schedules/after')).status, 204)
  assert.equal((await d.delete('/v1/schedules/nightly')).status, 204)
  assert.equal((await d.get('/v1/schedules/nightly')).status, 404)
  await d.stop()
})

test('a built-in schedule is seen, paused, run by hand and says what it took', async () => {
  const d = await startDaemon({ config: '[schedule keep.log]\ncron = 15 4 * * *\ntimezone = Europe/London\n' })
  const log = async () => (await d.get('/v1/schedules/keep.log')).body
  const { builtin, cron, paused, next } = await log()
  assert.deepEqual([builtin, cron, paused, next.length], [true, '15 4 * * *', false, 5])
  assert.equal((await d.put('/v1/schedules/keep.log', { cron: '@daily', job })).body.errors[0].pointer, '/job')
  assert.equal((await d.put('/v1/schedules/keep.mine', { cron: '@daily', job })).status, 422)
  assert.equal((await d.put('/v1/schedules/keep.log', { cron: '@daily', paused: true })).body.next.length, 0)
  assert.equal((await d.delete('/v1/schedules/keep.log')).status, 409)
  assert.equal((await d.post('/v1/events', { type: 'a.thing' })).body.accepted, 1)
  const ahead = new Date(Date.now() + 31 * 86_400_000).toISOString()
  assert.equal((await d.post('/v1/schedules/keep.log/run', { at: ahead })).status, 202)
  await until(async () => (await log()).last?.state === 'done')
  assert.ok((await log()).last.rows >= 1)
  assert.deepEqual((await d.get('/v1/events?type=a.thing')).body.items, [])
  assert.equal((await d.patch('/v1/queues/keep', { concurrency: 0 })).status, 422)
  await d.stop()
})

test('schedules are put, listed, shown, run and deleted from the command line', async () => {
  const d = await startDaemon()
  const put = await d.cli(['schedule', 'put', 'nightly', '--cron', '@daily', '--type', 'tick', '--queue', 'q', '--args', '[1]', '--jitter', '5m'])
  assert.equal(put.status, 0, put.stderr)
  assert.match((await d.cli(['schedule', 'list'])).stdout, /nightly/)
  const run = await d.cli(['schedule', 'run', 'nightly', '--json'])
  assert.match(JSON.parse(run.stdout).run, /^r-/)
  assert.match((await d.cli(['schedule', 'show', 'nightly'])).stdout, /live/)
  assert.equal((await d.cli(['schedule', 'put', 'x', '--cron', 'nonsense', '--type', 't', '--args', '[]'])).status, 1)
  assert.equal((await d.cli(['schedule', 'delete', 'nightly'])).status, 0)
  await d.stop()
})

test('budgets, queues and schedules of the file are applied at start and on SIGHUP, with the words of the API', async () => {
  const text = (per) => `[budget db]
concurrency = 4
[queue mail]
concurrency = 5
rate.limit = 40
rate.per = ${per}
budget = db
retry.delays = 5s, 1m
retry.backoff = list
[schedule second]
cron = 15 0 * * *
after = third
job = {"jobtype":"t","queue":"mail","args":[]}
[schedule third]
cron = @daily
timezone = Europe/London
job = {"jobtype":"t","queue":"mail","args":[]}
`
  const d = await startDaemon({ config: text('60s') })
  const queue = async () => (await d.get('/v1/queues/mail')).body
  assert.deepEqual([(await queue()).concurrency, (await queue()).budget, (await queue()).rate.per], [5, 'db', '60s'])
  assert.deepEqual((await queue()).retry.delays, ['5s', '1m'])
  assert.equal((await d.get('/v1/budgets/db')).body.concurrency, 4)
  assert.equal((await d.get('/v1/schedules/second')).body.after, 'third')
  assert.equal((await d.get('/v1/schedules/third')).body.timezone, 'Europe/London')
  await d.patch('/v1/queues/mail', { max_queued: 7 })
  const { version } = await queue()
  d.configure(text('30s'))
  d.signal('SIGHUP')
  await until(async () => (await queue()).rate.per === '30s')
  assert.equal((await queue()).max_queued, 7)
  assert.equal((await queue()).version, version + 1)
  await d.stop()
  for (const [bad, why] of [
    ['[queue mail]\nconcurrency = -1\n', /\[queue mail\] line 2: .*concurrency/],
    ['[schedule s]\ncron = 1 2 3 4\njob = {"jobtype":"t","args":[]}\n', /\[schedule s\] line 2: /],
    ['[schedule s]\ncron = @daily\n', /a schedule needs cron and job/],
    ['[queue mail]\nconcurency = 1\n', /concurrency/],
  ]) {
    const file = join(mkdtempSync(join(tmpdir(), 'posthouse-')), 'bad.conf')
    writeFileSync(file, bad)
    const checked = await d.cli(['config', 'check', file])
    assert.notEqual(checked.status, 0)
    assert.match(checked.stderr + checked.stdout, why)
  }
  const nowhere = startDaemon({ config: '[queue mail]\nbudget = nowhere\n' })
  await assert.rejects(nowhere, /nowhere/)
})

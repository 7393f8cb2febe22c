// One action on many jobs: answered at once, seen as a job, each job moved once whatever happens meanwhile.
// JOBS_BULK says with how many; the promise is about 200,000.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { cli, startDaemon, untilIs } from './lib/daemon.mjs'

const JOBS = Number(process.env.JOBS_BULK ?? 5000)
const BATCH = 1000
const WAIT_MS = 120_000

const until = (ask, wanted) => untilIs(ask, wanted, WAIT_MS)

// So many jobs that died at their first failure.
async function makeDead(daemon, count) {
  const errors = ['Broken', 'Late']
  for (let from = 0; from < count; from += BATCH) {
    const jobs = Array.from({ length: Math.min(BATCH, count - from) }, (_, i) => ({ jid: `job-${String(from + i).padStart(7, '0')}`, jobtype: 'a', queue: 'q', args: [], retry: -1 }))
    assert.equal((await daemon.post('/v1/jobs', jobs)).body.accepted, jobs.length)
    const leased = (await daemon.post('/v1/jobs/fetch', { queues: ['q'], max: BATCH })).body.jobs
    const failures = leased.map(({ lease }, i) => ({ lease, errtype: errors[i % 2] }))
    assert.equal((await daemon.post('/v1/jobs/fail', { failures })).body.acked, jobs.length)
  }
}

const queue = async (daemon, name = 'q') => (await daemon.get(`/v1/queues/${name}`)).body
const job = async (daemon, jid) => (await daemon.get(`/v1/jobs/${jid}`)).body

test(`a bulk retry of ${JOBS} dead jobs survives kills, moves each once and shows how far it is`, async () => {
  const daemon = await startDaemon()
  await makeDead(daemon, JOBS)
  const { status, body } = await daemon.post('/v1/jobs/bulk', { action: 'retry', filter: { state: 'dead', queue: 'q' } })
  assert.equal(status, 202)
  assert.equal(body.matching_at_most, JOBS)
  let progressed = 0
  for (let kills = 1; kills <= 3; kills++) {
    const wanted = Math.floor((JOBS * kills) / 4)
    const { progress } = await until(() => job(daemon, body.jid), (seen) => seen.state === 'done' || seen.progress?.done >= wanted)
    if (progress) assert.ok(progress.done >= progressed && progress.total === JOBS)
    progressed = progress?.done ?? JOBS
    await daemon.kill()
    await daemon.start()
    const pushed = await daemon.post('/v1/jobs', { jid: `job-other-${kills}`, jobtype: 'a', queue: 'other', args: [] })
    assert.equal(pushed.status, 201)
    assert.equal((await daemon.post('/v1/jobs/fetch', { queues: ['other'] , max: 1 })).body.jobs.length, 1)
  }
  const done = await until(() => job(daemon, body.jid), (seen) => seen.state === 'done')
  assert.deepEqual(done.result, { moved: JOBS, skipped: 0, refused: 0, refusals: [] })
  const { ready, dead } = await queue(daemon)
  assert.deepEqual([ready, dead], [JOBS, 0])
  await daemon.stop()
  if (!process.env.POSTHOUSE_TEST_DATABASE) assert.match(cli(['check', ...daemon.store]).stdout, / 0 differ/)
})

test('a bulk action takes what its filter covers, and the command waits for it', async () => {
  const daemon = await startDaemon()
  await makeDead(daemon, 10)
  const run = (...args) => cli(['job', 'bulk', ...args, '--url', daemon.url])
  const waited = run('retry', '--state', 'dead', '--errtype', 'Late', '--wait')
  assert.equal(waited.status, 0, waited.stderr)
  assert.match(waited.stdout, /moved\s+5/)
  assert.deepEqual((({ ready, dead }) => [ready, dead])(await queue(daemon)), [5, 5])
  assert.equal(run('kill').status, 1)
  assert.equal(JSON.parse(run('kill', '--all', '--json', '--wait').stdout).result.moved, 5)
  assert.equal((await queue(daemon)).dead, 10)
  await daemon.stop()
})

test('what a bulk action cannot mean is refused with its place, and its queue is nobody else’s', async () => {
  const daemon = await startDaemon()
  for (const [body, pointer] of [[{ action: 'retry' }, '/filter'], [{ action: 'eat', all: true }, '/action'],
    [{ action: 'kill', filter: { state: 'done' } }, '/filter/state'], [{ action: 'kill', filter: { sate: 'dead' } }, '/filter/sate']]) {
    const { status, body: problem } = await daemon.post('/v1/jobs/bulk', body)
    assert.equal(status, 422)
    assert.equal(problem.errors[0].pointer, pointer)
  }
  const own = await daemon.post('/v1/jobs', { jobtype: 'a', queue: 'posthouse.background', args: [] })
  assert.equal(own.body.errors[0].pointer, '/queue')
  await daemon.patch('/v1/queues/posthouse.background', { paused: true })
  const { jid } = (await daemon.post('/v1/jobs/bulk', { action: 'kill', all: true })).body
  assert.deepEqual((await daemon.post('/v1/jobs/fetch', { queues: ['posthouse.background'], max: 1 })).body.jobs, [])
  assert.equal((await job(daemon, jid)).state, 'ready')
  await daemon.patch('/v1/queues/posthouse.background', { paused: false })
  assert.equal((await until(() => job(daemon, jid), (seen) => seen.state === 'done')).result.moved, 0)
  await daemon.stop()
})

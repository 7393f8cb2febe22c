// Jobs over HTTP: pushed, fetched, ended, looked at; queues and their limits.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { startDaemon } from './lib/daemon.mjs'
import { connect } from './lib/lines.mjs'

const fetchJobs = async (daemon, queues, more = {}) =>
  (await daemon.post('/v1/jobs/fetch', { queues, max: 10, ...more })).body.jobs

test('a job answered 201 is there after a kill, and an acked one never runs again', async () => {
  const daemon = await startDaemon()
  const pushed = await daemon.post('/v1/jobs', { jid: 'job-0001', jobtype: 'mail', queue: 'q', args: [1] })
  assert.equal(pushed.status, 201)
  assert.deepEqual(pushed.body, { jid: 'job-0001', state: 'ready' })
  await daemon.post('/v1/jobs', { jid: 'job-0002', jobtype: 'mail', queue: 'q', args: [2] })
  const [first] = await fetchJobs(daemon, ['q'], { max: 1 })
  assert.equal(first.jid, 'job-0001')
  assert.deepEqual((await daemon.post('/v1/jobs/ack', { leases: [first.lease] })).body, { acked: 1, stale: [] })
  await daemon.kill()
  await daemon.start()
  assert.equal((await daemon.get('/v1/jobs/job-0001')).body.state, 'done')
  assert.equal((await daemon.get('/v1/jobs/job-0002')).body.state, 'ready')
  assert.deepEqual((await fetchJobs(daemon, ['q'])).map((job) => job.jid), ['job-0002'])
  const again = await daemon.post('/v1/jobs', { jid: 'job-0001', jobtype: 'mail', queue: 'q', args: [1] })
  assert.equal(again.status, 200)
  assert.deepEqual(again.body, { jid: 'job-0001', state: 'done', duplicate: true })
  const late = await daemon.post('/v1/jobs/ack', { leases: [first.lease] })
  assert.deepEqual(late.body, { acked: 0, stale: [{ lease: first.lease, reason: 'finished' }] })
  await daemon.stop()
})

test('a fetch that waits gets the job that is pushed meanwhile', async () => {
  const daemon = await startDaemon()
  const waiting = fetchJobs(daemon, ['q'], { wait: '20s' })
  assert.deepEqual(await fetchJobs(daemon, ['q']), [])
  await daemon.post('/v1/jobs', { jid: 'job-0001', jobtype: 'mail', queue: 'q', args: [] })
  assert.deepEqual((await waiting).map((job) => job.jid), ['job-0001'])
  assert.deepEqual(await fetchJobs(daemon, ['q'], { wait: '100ms' }), [])
  await daemon.stop()
})

test('a bulk push names the lines it refuses and takes the others', async () => {
  const daemon = await startDaemon()
  const { status, body } = await daemon.bulk('/v1/jobs', [
    { jid: 'job-0001', jobtype: 'a', args: [] }, { jid: 'short', jobtype: 'a', args: [] },
    { jid: 'job-0001', jobtype: 'a', args: [] }, { jobtype: 'a', args: {} }, { jid: 'job-0002', jobtype: 'a', args: [] },
  ])
  assert.equal(status, 200)
  assert.equal(body.accepted, 2)
  assert.equal(body.duplicates, 1)
  assert.deepEqual(body.rejected.map((line) => line.line), [2, 4])
  const array = await daemon.post('/v1/jobs', [{ jobtype: 'a', args: [] }, { jobtype: 'a', args: [] }])
  assert.equal(array.body.accepted, 2)
  const unique = { for: '10m' }
  const mixed = await daemon.bulk('/v1/jobs', [
    { jid: 'job-0003', jobtype: 'u', args: [1], unique }, { jid: 'job-0004', jobtype: 'u', args: [1], unique }, 'null',
    { jid: 'job-0005', jobtype: 'a', args: ['x'.repeat(100_000)] }, { jobtype: 'a', args: [], batch: 'b-none' }, { jobtype: '' },
  ])
  assert.deepEqual(mixed.body.rejected, [
    { line: 2, detail: 'Job not unique: job job-0003 holds the lock' }, { line: 3, detail: 'a job is an object' },
    { line: 5, detail: 'No such batch b-none' }, { line: 6, detail: 'jobs must have a jobtype parameter' },
  ])
  assert.equal(mixed.body.accepted, 2) // a line may be as large as a job
  await daemon.stop()
})

test('a failed job is in retry with its attempts, and moves by an operator are answered with the job as it is', async () => {
  const daemon = await startDaemon()
  await daemon.post('/v1/jobs', { jid: 'job-0001', jobtype: 'mail', queue: 'q', args: ['x'], retry: 3 })
  const [job] = await fetchJobs(daemon, ['q'], { worker: 'w-1' })
  const failed = await daemon.post('/v1/jobs/fail', {
    failures: [{ lease: job.lease, errtype: 'Boom', message: 'no luck', backtrace: ['a', 'b'] }],
  })
  assert.deepEqual(failed.body, { acked: 1, stale: [] })
  const shown = (await daemon.get('/v1/jobs/job-0001')).body
  assert.equal(shown.state, 'retry')
  assert.equal(shown.failure.remaining, 3)
  assert.equal(shown.attempts[0].outcome, 'failed')
  assert.equal(shown.attempts[0].worker, 'w-1')
  assert.deepEqual(shown.attempts[0].backtrace, ['a', 'b'])
  assert.deepEqual((await daemon.get('/v1/jobs?state=retry&queue=q')).body.items.map((item) => item.jid), ['job-0001'])
  assert.equal((await daemon.post('/v1/jobs/job-0001/kill', {})).body.state, 'dead')
  assert.equal((await daemon.post('/v1/jobs/job-0001/run', {})).status, 409)
  assert.equal((await daemon.post('/v1/jobs/job-0001/retry', {})).body.state, 'ready')
  assert.equal((await daemon.post('/v1/jobs/job-0001/cancel', {})).body.state, 'done')
  assert.equal((await daemon.get('/v1/jobs/job-0001')).body.outcome, 'cancelled')
  assert.equal((await daemon.get('/v1/jobs/job-none')).status, 404)
  await daemon.stop()
})

test('a queue shows its figures and policy, and refuses what its policy does not allow', async () => {
  const daemon = await startDaemon()
  assert.equal((await daemon.get('/v1/queues/q')).status, 404)
  const patched = await daemon.patch('/v1/queues/q', { concurrency: 1, max_queued: 2, weight: 3 })
  assert.equal(patched.body.concurrency, 1)
  for (const jid of ['job-0001', 'job-0002'])
    assert.equal((await daemon.post('/v1/jobs', { jid, jobtype: 'a', queue: 'q', args: [] })).status, 201)
  const full = await daemon.post('/v1/jobs', { jid: 'job-0003', jobtype: 'a', queue: 'q', args: [] })
  assert.equal(full.status, 429)
  assert.ok(Number(full.headers.get('retry-after')) >= 1)
  assert.equal((await fetchJobs(daemon, ['q'])).length, 1)
  assert.deepEqual(await fetchJobs(daemon, ['q']), [])
  const view = (await daemon.get('/v1/queues/q')).body
  assert.deepEqual([view.ready, view.leased, view.weight], [1, 1, 3])
  const bad = await daemon.patch('/v1/queues/q', { rate: { limit: 5, per: '1s', burst: 6 } })
  assert.equal(bad.status, 422)
  assert.equal(bad.body.errors[0].pointer, '/rate/burst')
  assert.equal((await daemon.patch('/v1/queues/q', { concurrency: 1.5 })).status, 422)
  assert.equal((await daemon.patch('/v1/queues/q', { nonsense: 1 })).status, 422)
  assert.equal((await daemon.patch('/v1/queues/q', { budget: 'none' })).status, 422)
  assert.equal((await daemon.patch('/v1/queues/q', { concurrency: null })).body.concurrency, undefined)
  assert.equal((await daemon.post('/v1/queues/q/drain', {})).status, 202)
  assert.equal((await daemon.post('/v1/jobs', { jobtype: 'a', queue: 'q', args: [] })).status, 409)
  assert.equal((await daemon.delete('/v1/queues/q')).status, 204)
  assert.deepEqual((await daemon.get('/v1/queues')).body.items, [])
  await daemon.stop()
})

test('a token bound to a queue neither fetches nor ends what is in another', async () => {
  const daemon = await startDaemon()
  const made = await daemon.post('/v1/tokens', { name: 'narrow', scopes: ['work', 'write'], queues: ['mine'] })
  const narrow = { token: made.body.token }
  const ask = (path, body) => daemon.post(path, body, narrow)
  for (const queue of ['mine', 'theirs']) await daemon.post('/v1/jobs', { jid: `job-${queue}`, jobtype: 'a', queue, args: [] })
  assert.equal((await ask('/v1/jobs', { jobtype: 'a', queue: 'theirs', args: [] })).status, 403)
  assert.equal((await ask('/v1/jobs/fetch', { queues: ['theirs'], max: 1 })).status, 403)
  const [theirs] = await fetchJobs(daemon, ['theirs'])
  const unknown = { acked: 0, stale: [{ lease: theirs.lease, reason: 'unknown' }] }
  assert.deepEqual((await ask('/v1/jobs/ack', { leases: [theirs.lease] })).body, unknown)
  assert.deepEqual((await ask('/v1/jobs/fail', { failures: [{ lease: theirs.lease }] })).body, unknown)
  assert.equal((await ask('/v1/jobs/extend', { lease: theirs.lease, for: '1h' })).status, 409)
  assert.equal((await daemon.get('/v1/jobs/job-theirs')).body.state, 'leased')
  const mine = (await ask('/v1/jobs/fetch', { queues: ['mine'], max: 1 })).body.jobs[0]
  assert.deepEqual((await ask('/v1/jobs/ack', { leases: [mine.lease] })).body, { acked: 1, stale: [] })
  await daemon.stop()
})

test('a job above the configured size is refused at both doors', async () => {
  const daemon = await startDaemon({ config: '[worker]\nmax_job_bytes = 2KiB\n' })
  const job = (bytes) => ({ jid: `job-${bytes}`, jobtype: 'a', args: ['x'.repeat(bytes)] })
  const big = await daemon.post('/v1/jobs', job(3000))
  assert.equal(big.status, 413)
  assert.match(big.body.detail, /job too big: \d+ bytes/)
  assert.equal((await daemon.post('/v1/jobs', job(1500))).status, 201)
  const worker = await connect(daemon.worker)
  await worker.hello({})
  assert.match(await worker.ask(`PUSH ${JSON.stringify(job(3001))}`), /^-ERR job too big: \d+ bytes/)
  assert.equal(await worker.ask(`PUSH ${JSON.stringify(job(1501))}`), '+OK')
  worker.close()
  await daemon.stop()
})

test('with too little space on the disk pushes are refused at both doors and work goes on', async (t) => {
  if (process.env.POSTHOUSE_TEST_DATABASE) return t.skip('the rows lie on the disk of PostgreSQL')
  const daemon = await startDaemon()
  await daemon.post('/v1/jobs', { jid: 'job-0001', jobtype: 'a', queue: 'q', args: [] })
  await daemon.stop()
  daemon.configure('[server]\nmin_free_disk = 900TiB\n')
  await daemon.start()
  const refused = await daemon.post('/v1/jobs', { jid: 'job-0002', jobtype: 'a', queue: 'q', args: [] })
  assert.equal(refused.status, 503)
  assert.equal(refused.headers.get('retry-after'), '10')
  const worker = await connect(daemon.worker)
  await worker.hello({})
  assert.match(await worker.ask('PUSH {"jid":"job-0003","jobtype":"a","args":[]}'), /^-ERR the disk is nearly full/)
  worker.close()
  const [job] = await fetchJobs(daemon, ['q'])
  assert.equal((await daemon.post('/v1/jobs/ack', { leases: [job.lease] })).body.acked, 1)
  await daemon.stop()
})

test('a budget in use is not deleted, and a worker that beats is listed', async () => {
  const daemon = await startDaemon()
  assert.equal((await daemon.put('/v1/budgets/db', { concurrency: 2, cpu_share: 0.2 })).body.concurrency, 2)
  assert.equal((await daemon.put('/v1/budgets/db', { cpu_share: 2 })).status, 422)
  await daemon.patch('/v1/queues/q', { budget: 'db' })
  assert.equal((await daemon.delete('/v1/budgets/db')).status, 409)
  await daemon.patch('/v1/queues/q', { budget: null })
  assert.equal((await daemon.delete('/v1/budgets/db')).status, 204)
  assert.deepEqual((await daemon.get('/v1/budgets')).body.items.map((item) => item.id), ['background', 'keep'])
  assert.deepEqual((await daemon.post('/v1/workers/w-1/beat', {})).body, { state: 'running', revoked: [] })
  assert.equal((await daemon.get('/v1/workers')).body.items[0].id, 'w-1')
  await daemon.post('/v1/workers/w-1/quiet', {})
  assert.equal((await daemon.post('/v1/workers/w-1/beat', {})).body.state, 'quiet')
  await daemon.post('/v1/jobs', { jobtype: 'a', queue: 'q', args: [] })
  assert.deepEqual(await fetchJobs(daemon, ['q'], { worker: 'w-1' }), [])
  assert.equal((await daemon.post('/v1/workers/none/quiet', {})).status, 404)
  await daemon.stop()
})

test('the command line sets every word of a policy, shows it and takes it away', async () => {
  const daemon = await startDaemon()
  const cli = async (...words) => daemon.cli([...words, '--json'])
  assert.equal((await cli('budget', 'set', 'db', '--concurrency', '4', '--rate', '10/1s/3', '--cpu-share', '0.25')).status, 0)
  const { concurrency, rate, cpu_share } = JSON.parse((await cli('budget', 'list')).stdout).items.find(({ id }) => id === 'db')
  assert.deepEqual([concurrency, rate, cpu_share], [4, { limit: 10, per: '1s', burst: 3 }, 0.25])
  const words = {
    concurrency: [5, 'five', -1], node_concurrency: [3, 'x', 100001], worker_concurrency: [2, 'x', 100001], rate: ['40/60s/2', '40', '40/60s/41'],
    budget: ['db', null, 'nowhere'], budget_cost: [2, 'x', 1001], weight: [7, 'x', 101], key_concurrency: [2, 'x', 0], key_rate: ['7/1s', 'x', '0/1s'],
    keys: ['{"tenant-7":{"weight":3,"concurrency":4}}', '{', '{"k":{"weight":101}}'], priorities: ['yes', 'maybe', null], ageing: ['1m', null, 'soon'],
    max_queued: [1000, 'x', -1], max_bytes: [100000, 'x', -1], max_age: ['1h', null, 'old'], lease: ['2m', null, '59s'], timeout: ['1m', null, '2d'],
    retry: ['{"max":3,"backoff":"list","delays":["5s","5m","30m"]}', '[', '{"backoff":"never"}'], crash_limit: [9, 'x', 1001],
    retain: ['{"done":"1h","done_max":10,"dead":"7d"}', '{', '{"done":"long"}'], recover_lost_workers: ['no', 'x', null], handler: ['{"kind":"pull"}', '{', '{"kind":"magic"}'],
  }
  const shown = { rate: { limit: 40, per: '60s', burst: 2 }, key_rate: { limit: 7, per: '1s' }, priorities: true, recover_lost_workers: false, handler: { kind: 'pull' } }
  const option = (word) => `--${word.replaceAll('_', '-')}`
  for (const [word, [good, unreadable, outside]] of Object.entries(words)) {
    if (unreadable !== null) assert.equal((await cli('queue', 'set', 'q', option(word), `${unreadable}`)).status, 2, word)
    if (outside === null) continue
    const refused = await cli('queue', 'set', 'q', option(word), `${outside}`)
    assert.equal(refused.status, 1, word)
    assert.match(refused.stderr, new RegExp(word.split('_')[0]), word)
  }
  const all = Object.entries(words).flatMap(([word, [good]]) => [option(word), `${good}`])
  const set = await cli('queue', 'set', 'q', ...all)
  assert.equal(set.status, 0, set.stderr)
  const queue = JSON.parse((await cli('queue', 'show', 'q')).stdout)
  for (const [word, [good]] of Object.entries(words))
    assert.deepEqual(queue[word], shown[word] ?? (/^[{]/.test(good) ? JSON.parse(good) : good), word)
  assert.equal((await cli('queue', 'set', 'q', ...Object.keys(words).flatMap((word) => [option(word), 'none']))).status, 0)
  const bare = JSON.parse((await cli('queue', 'show', 'q')).stdout)
  assert.equal(bare.retry, 0) // without a policy of that name the figure shows
  assert.deepEqual(Object.keys(words).filter((word) => word in bare), ['retry'])
  assert.equal(bare.version, queue.version + 1)
  await daemon.stop()
})

test('bad words of a failure are refused with their places, and a lease that was none is stale', async () => {
  const daemon = await startDaemon()
  const { status, body } = await daemon.post('/v1/jobs/fail', { failures: [{ lease: 'a' }, { lease: 'b', final: 1, nope: 1 }] })
  assert.equal(status, 422)
  assert.deepEqual(body.errors.map(({ pointer }) => pointer), ['/failures/1/final', '/failures/1/nope'])
  assert.equal((await daemon.post('/v1/jobs/fail', { failures: [{ lease: 'a', snooze: '8d' }] })).body.errors[0].pointer, '/failures/0/snooze')
  assert.deepEqual((await daemon.post('/v1/jobs/ack', { leases: [''] })).body, { acked: 0, stale: [{ lease: '', reason: 'unknown' }] })
  await daemon.post('/v1/jobs', { jobtype: 'a', queue: 'q', args: [] })
  const [{ lease }] = await fetchJobs(daemon, ['q'])
  const failed = async () => (await daemon.post('/v1/jobs/fail', { failures: [{ lease }] })).body
  assert.deepEqual([await failed(), await failed()], [{ acked: 1, stale: [] }, { acked: 0, stale: [{ lease, reason: 'finished' }] }])
  await daemon.stop()
})

test('bad words of a fetch are refused with their places', async () => {
  const daemon = await startDaemon()
  for (const [body, pointer] of [[{ queues: [] }, '/queues'], [{ queues: ['q'], max: 0 }, '/max'],
    [{ queues: ['q'], wait: '31s' }, '/wait'], [{ max: 1 }, '/queues']]) {
    const { status, body: problem } = await daemon.post('/v1/jobs/fetch', body)
    assert.equal(status, 422)
    assert.equal(problem.errors[0].pointer, pointer)
  }
  await daemon.stop()
})

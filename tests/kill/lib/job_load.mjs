// Load for tests that kill: clients that push jobs and workers that do them, at both doors, and what each was told.
//
//   const load = new JobLoad(randomOf(seed))             // patient: a door that says "not now" is asked again
//   await load.setUp(daemon)
//   const stop = load.start([daemon])                    // whoever finds its door gone goes to another, or waits for the next start
//   await daemon.kill()
//   await stop()
//   await daemon.start()
//   await load.audit(daemon)                             // every promise against what is there now; nobody works meanwhile
//   await load.lateAcks([daemon])                        // goes on until some came too late
//   await load.finish([daemon], 120_000)                 // all work is done
//
// Clients and workers keep over a kill what had no answer, and say it again. A worker (job_hands.mjs) notices by itself
// when a job that was acked is handed out again, when two have one job, one mutex or one unique key, and when a limit is
// passed; it has a job from the answer of its fetch until it says how the job went.
import assert from 'node:assert/strict'
import { until } from '../../flow/lib/daemon.mjs'
import { DoorClient, DoorWorker, FrozenWorker, HttpClient, HttpWorker } from './job_hands.mjs'
import { pause } from './load.mjs'

const BREATH_MS = 20 // after a refusal, and for a process to be seen as gone
const LATE_MS = 60_000
const SLOTS_MS = 10_000 // leases may end by their time while one looks
const limits = { 'queue narrow': 3, 'budget shared': 4 }
const SLOW_MS = 200 // so that the frozen one wakes while another has its job
const BRIEF_SHARE = 0.015 // few, so that a job that timed out is soon another's
const queues = ['plain', 'narrow', 'left', 'right', 'mutex', 'unique']

// What a client asks for, in words of HTTP; a kind is also the queue, unless it names another.
const kinds = {
  plain: () => ({}),
  narrow: () => ({}),
  left: () => ({}),
  right: () => ({}),
  later: () => ({ queue: 'plain', at: new Date(Date.now() + 300).toISOString() }),
  mutex: (any) => ({ mutex: `m-${any(4)}` }),
  unique: (any) => ({ unique: { for: '10m', key: `u-${any(12)}` } }),
  brief: () => ({ timeout: '1s' }),
}

const common = Object.keys(kinds).filter((kind) => kind !== 'brief')

// What the limits and locks count that apply to a job.
function namesOf({ queue, mutex, unique }) {
  const names = [`queue ${queue}`]
  if (['left', 'right'].includes(queue)) names.push('budget shared')
  if (mutex) names.push(`mutex ${mutex}`)
  if (unique) names.push(`unique ${unique.key}`)
  return names
}

const mostOf = (name) => limits[name] ?? (/^(mutex|unique) /.test(name) ? 1 : Infinity)

export class JobLoad {
  jobs = new Map() // by jid: { jid, spec, names, pushed, refused, held, said, acked, failed, unsure }
  unsettled = new Set() // those that are not proven to be done
  held = new Map() // of each name: how many a worker has
  counts = { pushed: 0, refused: 0, acked: 0, failed: 0, again: 0, expired: 0, reassigned: 0, finished: 0 }
  dead = 0

  constructor(random, { patient = false } = {}) {
    Object.assign(this, { random, patient, any: (n) => Math.floor(random() * n) })
    const door = ['w-1', 'w-2', 'w-3'].map((name) => new DoorWorker(this, name, queues))
    const http = [new HttpWorker(this, 'h-1', queues), new HttpWorker(this, 'h-2', ['brief'], SLOW_MS)]
    this.workers = [...door, ...http, new FrozenWorker(this, 'f-1', ['brief'])]
    this.clients = [new DoorClient(this), new HttpClient(this), new HttpClient(this)]
  }

  async setUp(daemon) {
    const good = async (answer) => assert.equal((await answer).status, 200, (await answer).text)
    const retry = { max: 3, backoff: 'fixed', base: '1s' }
    await good(daemon.put('/v1/budgets/shared', { concurrency: limits['budget shared'] }))
    for (const queue of [...queues, 'brief']) await good(daemon.patch(`/v1/queues/${queue}`, { retry }))
    await good(daemon.patch('/v1/queues/narrow', { concurrency: limits['queue narrow'] }))
    for (const queue of ['left', 'right']) await good(daemon.patch(`/v1/queues/${queue}`, { budget: 'shared' }))
  }

  // How many wait for a worker, more or less.
  get open() {
    return this.counts.pushed - this.counts.acked - this.dead
  }

  // A job that nobody pushed yet.
  make() {
    const kind = this.random() < BRIEF_SHARE ? 'brief' : common[this.any(common.length)]
    const jid = `job-${String(this.jobs.size).padStart(6, '0')}`
    const spec = { jid, jobtype: 't', queue: kind, args: [this.jobs.size], ...kinds[kind](this.any) }
    const job = { jid, spec, names: namesOf(spec), held: null, failed: 0 }
    this.jobs.set(jid, job)
    this.unsettled.add(job)
    return job
  }

  pushed(job) {
    job.pushed = true
    this.counts.pushed++
  }

  // By a lock of another job.
  refused(job, holder) {
    assert.ok(job.spec.unique, `${job.jid} was refused`)
    if (holder) assert.deepEqual(this.jobs.get(holder)?.spec.unique, job.spec.unique)
    job.refused = true
    this.counts.refused++
  }

  // What a worker was handed out. One that may time out is nobody's for sure.
  begun({ jid, args }, worker) {
    const job = this.jobs.get(jid)
    assert.ok(job && !job.refused, `${worker} got ${jid}, which was never taken in`)
    assert.deepEqual(args, job.spec.args)
    assert.ok(!job.acked, `${worker} got ${jid}, which was acked`)
    if (job.spec.timeout) return job
    assert.equal(job.held, null, `${worker} got ${jid}, which ${job.held} has`)
    job.held = worker
    for (const name of job.names) {
      const n = (this.held.get(name) ?? 0) + 1
      assert.ok(n <= mostOf(name), `${n} at once of ${name}, with ${jid}`)
      this.held.set(name, n)
    }
    return job
  }

  // A worker is about to say how it went: from now on slots and locks may be another's, after a fail the job as well.
  ends(job, how) {
    job.said = how
    if (job.spec.timeout) return
    for (const name of job.names) this.held.set(name, this.held.get(name) - 1)
    if (how === 'fail') job.held = null
  }

  // And that was answered.
  ended(job, how) {
    job.held = how === 'ack' ? null : job.held
    if (how === 'ack') job.acked = true
    else job.failed++
    this.counts[how === 'ack' ? 'acked' : 'failed']++
  }

  // A door that answers "not now" has promised nothing: with `patient` it is asked again.
  async refuses(not) {
    assert.ok(this.patient, `refused: ${not}`)
    await pause(BREATH_MS)
    return false
  }

  // Until stop() is called.
  start(daemons, { pushing = true } = {}) {
    let stopped = false
    const hands = [...this.workers, ...(pushing ? this.clients : [])]
    const all = Promise.all(hands.map((hand, i) => this.keepGoing(hand, daemons, i, () => !stopped)))
    all.catch((error) => (this.broken = error))
    return () => {
      stopped = true
      return all
    }
  }

  async keepGoing(hand, daemons, home, running) {
    for (let tries = home; running(); tries++) {
      const there = daemons.filter((daemon) => daemon.running)
      if (there.length === 0) return
      const daemon = there[tries % there.length]
      try {
        await hand.work(daemon, running)
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error
        // A killed process closes its connections a moment before it is seen to have ended.
        await Promise.race([daemon.ended, pause(BREATH_MS * 20)])
        if (daemon.running && running() && !this.patient) throw error
      }
    }
  }

  async audit(daemon) {
    const all = await daemon.list('/v1/jobs')
    const live = new Map(all.map((item) => [item.jid, item]))
    assert.equal(live.size, all.length, 'a job lies in two places')
    this.dead = all.filter(({ state }) => state === 'dead').length
    for (const job of this.unsettled) {
      const item = live.get(job.jid)
      if (item) this.auditLive(job, item)
      else if (job.pushed || job.said) await this.auditDone(daemon, job)
    }
    this.oneOfEach(all)
    await this.slotsAreLeases(daemon)
  }

  auditLive(job, { state }) {
    assert.ok(!job.acked, `${job.jid} was acked and is ${state}`)
    assert.ok(!job.refused, `${job.jid} was refused and is ${state}`)
    if (job.held && job.said !== 'ack') assert.equal(state, 'leased', `${job.held} has ${job.jid}`)
    if (state === 'dead') assert.ok(job.failed > 0 || job.spec.timeout, `${job.jid} never failed and is dead`)
  }

  async auditDone(daemon, job) {
    const { status, body } = await daemon.get(`/v1/jobs/${job.jid}`)
    assert.equal(status, 200, `${job.jid} is lost`)
    assert.equal(body.state, 'done', `${job.jid} is ${body.state}, and in no list`)
    assert.equal(job.said, 'ack', `${job.jid} is done and nobody acked it`)
    if (job.acked) this.unsettled.delete(job)
  }

  // Of a mutex one lease lives, of a unique key one job.
  oneOfEach(all) {
    const seen = new Set()
    for (const { jid, state } of all) {
      const { spec } = this.jobs.get(jid)
      const name = state === 'leased' && spec.mutex ? spec.mutex : state !== 'dead' && spec.unique?.key
      assert.ok(!name || !seen.has(name), `two jobs have ${name}`)
      if (name) seen.add(name)
    }
  }

  // QUE-2, BUD-1: what counts as taken is what is leased.
  async slotsAreLeases(daemon) {
    let seen
    const equal = async () => {
      const leased = (await daemon.list('/v1/jobs?state=leased')).map(({ queue }) => queue)
      const rows = (...names) => leased.filter((queue) => names.includes(queue)).length
      const shared = (await daemon.get('/v1/budgets')).body.items.find(({ id }) => id === 'shared')
      const taken = (await daemon.get('/v1/queues')).body.items
      seen = [['shared', shared.used, rows('left', 'right')], ...taken.map(({ name, leased: n }) => [name, n, rows(name)])]
      return seen.every(([, n, leases]) => n === leases)
    }
    await until(equal, SLOTS_MS, () => `slots are not leases: ${JSON.stringify(seen)}`)
    assert.match((await daemon.get('/metrics')).text, /^posthouse_slot_repairs_total 0$/m)
  }

  whole() {
    if (this.broken) throw this.broken
    return true
  }

  // Until the frozen worker woke while another had its job: twice, as chance wants it.
  async lateAcks(daemons) {
    const stop = this.start(daemons)
    await until(() => this.whole() && this.counts.reassigned > 1, LATE_MS, () => `no ack was late: ${JSON.stringify(this.counts)}`)
    await stop()
  }

  // Workers say what they still have to say; with `ms` they go on until all is done or dead. What was on its way to a
  // worker at a kill comes back after a minute.
  async finish(daemons, ms = 0) {
    const stop = this.start(daemons, { pushing: false })
    let left
    const none = async () => this.whole() && (left = (await daemons[0].list('/v1/jobs')).filter(({ state }) => state !== 'dead')).length === 0
    if (ms) await until(none, ms, () => `${left.length} jobs do not end: ${JSON.stringify(left.slice(0, 5))}`)
    else await until(() => this.workers.every((worker) => worker.hasSaidAll), SLOTS_MS, () => 'a worker does not come to its end')
    await stop()
    await this.audit(daemons[0])
    for (const job of this.jobs.values()) if (job.failed && !job.unsure) await this.auditFailures(daemons[0], job)
  }

  async auditFailures(daemon, { jid, failed }) {
    const { attempts } = (await daemon.get(`/v1/jobs/${jid}`)).body
    assert.equal(attempts.filter(({ outcome }) => outcome === 'failed').length, failed, `failures of ${jid}`)
  }
}

// Who pushes jobs and who does them in job_load.mjs. work(daemon, running) goes on until it is told to stop or the door
// is gone; what was said and not answered stays in `open` and is said again at the next door.
//
// The frozen worker fetches and does nothing until its time is over: the timeout of its jobs, since the shortest lease is
// a minute. Its acks come behind that, if it can when another one has the job, and must end nothing (LEASE-2).
import assert from 'node:assert/strict'
import { enter } from '../../flow/lib/lines.mjs'
import { pause } from './load.mjs'

const FAIL_SHARE = 0.15
const WORK_MS = 8 // at most, unless a worker is slow
const BATCH = 4
const WAITING_MAX = 250 // above it nobody pushes
const IDLE_MS = 10
const FROZEN_LOOK_MS = 20
const WAKE_SHARE = 0.002 // of looks at a job that nobody has

// --- clients

class Client {
  open = [] // jobs that were pushed without an answer

  constructor(load) {
    this.load = load
  }

  async pushSome(running, push) {
    while (running()) {
      const again = this.open.length > 0
      if (!again && this.load.open > WAITING_MAX) {
        await pause(IDLE_MS)
        continue
      }
      if (again) this.load.counts.again++
      else this.open = Array.from({ length: 1 + this.load.any(BATCH) }, () => this.load.make())
      if (await push(this.open, again)) this.open = []
    }
  }
}

export class HttpClient extends Client {
  work(daemon, running) {
    return this.pushSome(running, (jobs, again) => (jobs.length === 1 ? this.one(daemon, jobs[0], again) : this.bulk(daemon, jobs, again)))
  }

  async one(daemon, job, again) {
    const { status, body, text } = await daemon.post('/v1/jobs', job.spec)
    if (status === 503) return this.load.refuses(text)
    if (status === 409) this.load.refused(job, text.match(/job (job-\d+) holds/)[1])
    else {
      assert.ok(status === 201 || (again && body.duplicate), text)
      this.load.pushed(job)
    }
    return true
  }

  async bulk(daemon, jobs, again) {
    const { status, body, text } = await daemon.bulk('/v1/jobs', jobs.map(({ spec }) => spec))
    if (status === 503) return this.load.refuses(text)
    assert.equal(status, 200, text)
    const rejected = new Set(body.rejected.map(({ line }) => line - 1))
    assert.equal(body.accepted + body.duplicates + rejected.size, jobs.length, text)
    assert.ok(again || body.duplicates === 0, text)
    for (const [i, job] of jobs.entries()) rejected.has(i) ? this.load.refused(job) : this.load.pushed(job)
    return true
  }
}

// On the worker door our own words lie in custom.posthouse.
function atTheDoor({ jid, jobtype, queue, args, at, ...custom }) {
  return JSON.stringify({ jid, jobtype, queue, args, at, custom: { posthouse: custom } })
}

export class DoorClient extends Client {
  async work(daemon, running) {
    const door = await enter(daemon.worker)
    try {
      await this.pushSome(running, (jobs) => this.pipeline(door, jobs))
    } finally {
      door.close()
    }
  }

  async pipeline(door, jobs) {
    const answers = []
    door.send(jobs.map(({ spec }) => `PUSH ${atTheDoor(spec)}\r\n`).join(''))
    for (let n = 0; n < jobs.length; n++) answers.push(await door.answer())
    const not = answers.find((answer) => answer.startsWith('-ERR'))
    if (not) return this.load.refuses(not)
    for (const [i, job] of jobs.entries()) answers[i] === '+OK' ? this.load.pushed(job) : this.load.refused(job)
    return true
  }
}

// --- workers

class Worker {
  open = [] // { job, lease, how, said }: what it has, how that went, and whether it has said so

  constructor(load, name, queues, work_ms = WORK_MS) {
    Object.assign(this, { load, name, queues, work_ms })
  }

  get hasSaidAll() {
    return this.open.every(({ how }) => !how)
  }

  has(jobs) {
    this.open.push(...jobs.map((job) => ({ job: this.load.begun(job, this.name), lease: job.lease })))
  }

  // Does what it has, first what is left from another door; then more.
  async workAt(running, fetch, say) {
    while (this.open.length > 0 || running()) {
      while (this.open.length > 0) if (await this.end(this.open[0], say)) this.open.shift()
      if (running()) await fetch()
    }
  }

  async end(one, say) {
    if (!one.how) {
      await pause(this.load.random() * this.work_ms)
      one.how = this.load.random() < FAIL_SHARE ? 'fail' : 'ack'
      this.load.ends(one.job, one.how)
    }
    const again = one.said
    one.said = true
    if (again) this.load.counts.again++
    return say(one, again)
  }

  anyOrder() {
    return this.queues.map((name) => [this.load.random(), name]).sort(([a], [b]) => a - b).map(([, name]) => name)
  }
}

export class DoorWorker extends Worker {
  async work(daemon, running) {
    const door = await enter(daemon.worker, { wid: this.name })
    try {
      await this.workAt(running, () => this.fetch(door), (one, again) => this.say(door, one, again))
    } finally {
      door.close()
    }
  }

  async fetch(door) {
    const answer = await door.ask(`FETCH ${this.anyOrder().join(' ')}`)
    if (answer?.startsWith('-')) return this.load.refuses(answer)
    if (answer) this.has([JSON.parse(answer)])
  }

  async say(door, { job, how }, again) {
    const answer = await door.ask(how === 'ack' ? `ACK {"jid":"${job.jid}"}` : `FAIL {"jid":"${job.jid}","errtype":"Oops","message":"no luck"}`)
    const before = how === 'fail' && again && answer.startsWith('-ERR Job not found')
    if (answer !== '+OK' && !before) return this.load.refuses(answer)
    this.load.ended(job, how)
    return true
  }
}

const okOf = async (load, { status, body, text }) => {
  if (status === 503) return load.refuses(text)
  assert.equal(status, 200, text)
  return body
}

export class HttpWorker extends Worker {
  async work(daemon, running) {
    await daemon.post(`/v1/workers/${this.name}/beat`, {}) // its leases are its own: by jid nobody else ends them
    await this.workAt(running, () => this.fetch(daemon), (one, again) => this.say(daemon, one, again))
  }

  async fetch(daemon) {
    const body = await okOf(this.load, await daemon.post('/v1/jobs/fetch', { queues: this.anyOrder(), max: 1 + this.load.any(BATCH), wait: '100ms', worker: this.name }))
    if (body) this.has(body.jobs)
  }

  async say(daemon, { job, how, lease }, again) {
    const request = how === 'ack' ? { leases: [lease] } : { failures: [{ lease, errtype: 'Oops', message: 'no luck' }] }
    const body = await okOf(this.load, await daemon.post(`/v1/jobs/${how}`, request))
    if (!body) return false
    const [stale] = body.stale
    assert.equal(body.acked, stale ? 0 : 1)
    if (!stale) this.load.ended(job, how)
    else if (job.spec.timeout) this.wasLate(job, stale)
    else {
      // The first time it was heard, and not the answer.
      assert.ok(again, `${job.jid}: the lease that ${this.name} has is ${stale.reason}`)
      if (how === 'ack') assert.equal(stale.reason, 'finished', job.jid)
      else assert.ok(['expired', 'reassigned', 'finished'].includes(stale.reason), `${job.jid}: ${stale.reason}`)
      this.load.ended(job, how)
    }
    return true
  }

  // Its time was over, or the first word was heard; of two workers with such jobs the other one's acks end nothing.
  wasLate(job, { reason }) {
    assert.ok(['expired', 'reassigned', 'finished'].includes(reason), `${job.jid}: ${reason}`)
    if (reason === 'finished') job.acked = true
    job.unsure = true
  }
}

export class FrozenWorker extends HttpWorker {
  async work(daemon, running) {
    while (running()) {
      if (this.open.length === 0) await this.fetch(daemon)
      for (const one of [...this.open]) if (await this.wakes(daemon, one)) await this.ackLate(daemon, one)
      await pause(FROZEN_LOOK_MS)
    }
  }

  has(jobs) {
    this.open.push(...jobs.map((job) => ({ job: this.load.begun(job, this.name), lease: job.lease, n: job.attempt })))
  }

  async wakes(daemon, { job, n }) {
    const { state, attempts } = (await daemon.get(`/v1/jobs/${job.jid}`)).body
    if (state === 'leased') return attempts.find((attempt) => attempt.n === n)?.outcome !== null
    return ['done', 'dead'].includes(state) || this.load.random() < WAKE_SHARE
  }

  async ackLate(daemon, one) {
    const body = await okOf(this.load, await daemon.post('/v1/jobs/ack', { leases: [one.lease] }))
    if (!body) return
    assert.equal(body.acked, 0, `a lease that was over ended ${one.job.jid}`)
    const { reason } = body.stale[0]
    assert.ok(['expired', 'reassigned', 'finished'].includes(reason), `${one.job.jid}: ${reason}`)
    this.load.counts[reason]++
    this.open.splice(this.open.indexOf(one), 1)
  }
}

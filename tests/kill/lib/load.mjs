// Load for tests that kill: imports and webhooks through one or several doors, and what was said yes to.
//
//   const random = randomOf(seed)                        // the same moments for the same seed
//   const load = new Load(random)
//   await load.setUp(daemon)
//   const stop = load.start([first, second])             // until stop() is called; what fails afterwards is no error
//   ...
//   await stop()
//   await load.everyAnswerIsThere(daemon)                // sends all again: nothing answered may be new
//
// A door that answers 503 has promised nothing; with `patient` the load goes on, otherwise it is an error.
import assert from 'node:assert/strict'
import { mailgun, now, post } from '../../flow/lib/webhooks.mjs'

const KEY = 'key-of-the-tests'
const LINES = 40 // of one import
const BREATH_MS = 50 // after a refusal

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

// mulberry32
export function randomOf(seed) {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

const lineOf = (number, i) => ({ recipient: `r${number}-${i}@k.example`, member: `p${i}`, provider_message_id: `${number}-${i}@k` })
const linesOf = (number) => Array.from({ length: LINES }, (_, i) => lineOf(number, i))

export class Load {
  imports = 0
  hooks = 0
  answered = { imports: [], hooks: [] }
  answeredAt = 0 // of the newest yes, by Date.now()

  constructor(random, { patient = false } = {}) {
    Object.assign(this, { random, patient })
  }

  async setUp(daemon) {
    const good = async (answer) => assert.equal((await answer).status, 200, (await answer).text)
    await good(daemon.put('/v1/tenants/t', { timezone: 'Europe/London' }))
    await good(daemon.put('/v1/mailings/own', { tenant: 't', subject: 'reported', sent_at: new Date().toISOString() }))
    await good(daemon.put('/v1/sources/hooks', { type: 'mailgun', tenant: 't', signing_key: KEY }))
  }

  // True for a yes, false for "not now".
  async said({ status, text }) {
    if (this.patient && status === 503) {
      await pause(BREATH_MS)
      return false
    }
    assert.equal(status, 200, text)
    this.answeredAt = Date.now()
    return true
  }

  async importSome(daemon, running) {
    while (running()) {
      const number = this.imports++
      const answer = await daemon.bulk('/v1/mailings/own/messages', linesOf(number))
      if (!(await this.said(answer))) continue
      assert.equal(answer.body.accepted, LINES, answer.text)
      this.answered.imports.push(number)
    }
  }

  // Reports about recipients that may be known or not yet.
  async reportSome(daemon, running) {
    while (running()) {
      const number = this.hooks++
      const [chunk, i] = [Math.floor(this.random() * (this.imports + 1)), Math.floor(this.random() * LINES)]
      const event = this.random() < 0.5 ? 'delivered' : 'opened'
      const { recipient, provider_message_id } = lineOf(chunk, i)
      const hook = mailgun(KEY, { event, id: `hook-${number}`, timestamp: now() - 1, ip: '192.0.2.1', recipient, message: { headers: { 'message-id': provider_message_id } } })
      if (await this.said(await post(daemon, 'hooks', hook))) this.answered.hooks.push({ event, recipient, hook })
    }
  }

  // A door that is gone ends the work at it; the others go on.
  start(daemons) {
    let stopped = false
    const running = (daemon) => () => !stopped && daemon.running
    const cut = (daemon) => async (error) => {
      if (error instanceof assert.AssertionError) throw error
      // A killed process closes its connections a moment before it is seen to have ended.
      if (!stopped) await Promise.race([daemon.ended, pause(BREATH_MS * 20)])
      if (daemon.running && !stopped) throw error
    }
    const works = ['importSome', 'reportSome', 'reportSome']
    const all = Promise.all(daemons.flatMap((daemon) => works.map((work) => this[work](daemon, running(daemon)).catch(cut(daemon)))))
    all.catch(() => {}) // looked at when it is stopped
    return () => {
      stopped = true
      return all
    }
  }

  async everyAnswerIsThere(daemon) {
    for (const number of this.answered.imports) {
      const { body, text } = await daemon.bulk('/v1/mailings/own/messages', linesOf(number))
      assert.deepEqual([body?.accepted, body?.duplicates], [0, LINES], text)
    }
    // With every recipient known, each message has what was said of it.
    for (let number = 0; number <= this.imports; number++) assert.equal((await daemon.bulk('/v1/mailings/own/messages', linesOf(number))).status, 200)
    const results = async () => (await daemon.get('/v1/sources/hooks')).body.webhook.results
    const before = await results()
    for (const { hook } of this.answered.hooks) assert.equal((await post(daemon, 'hooks', hook)).status, 200)
    assert.deepEqual(await results(), before, 'a webhook that was answered is new')
    const told = (event) => new Set(this.answered.hooks.filter((one) => one.event === event).map(({ recipient }) => recipient)).size
    const { body } = await daemon.get('/v1/mailings/own/stats')
    assert.ok(body.delivered >= told('delivered') && body.opened >= told('opened'), JSON.stringify(body))
    assert.equal(body.messages, (this.imports + 1) * LINES)
  }
}

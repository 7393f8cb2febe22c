// A daemon that reads a stand-in provider: both started, a mailing and its recipients known to both.
//
//   import { startReading } from './lib/reading.mjs'
//
//   const { sim, daemon, ...reading } = await startReading({ sim: { recipients: 2000 }, source: { api: 'logs' } })
//   await reading.settled()          // every figure equals the truth, and every planned look was taken
//   await reading.checked()          // `posthouse check` recounts everything and finds no difference
//
// A day of events passes in a second; the source looks each second and twice again, after two and after four.
import assert from 'node:assert/strict'
import { startDaemon, until } from './daemon.mjs'
import { startSimulator } from './simulator.mjs'

export const timing = { every: '1s', margin: '0s', recheck: ['2s', '4s'], retention: '3d' }
const DEFAULTS = { mailing: 'm-1', recipients: 1000, 'compress-time': 86400 }

// options: sim (of the simulator), source (of PUT), daemon, sent_at, polled: false leaves the source to the caller
export async function startReading({ sim: simulated = {}, source = {}, daemon: options, sent_at, polled = true } = {}) {
  const sim = await startSimulator({ ...DEFAULTS, ...simulated })
  const reading = new Reading(sim, await startDaemon(options))
  await reading.good(reading.daemon.put('/v1/tenants/t', { timezone: 'UTC' }))
  await reading.good(reading.daemon.put('/v1/mailings/m-1', { tenant: 't', subject: 'news', sent_at: sent_at ?? new Date(Date.now() - 1000).toISOString() }))
  await reading.good(reading.daemon.bulk('/v1/mailings/m-1/messages', await sim.messages()))
  reading.config = { type: 'mailgun', base_url: sim.url, domain: sim.domain, api_key: sim.key, signing_key: sim.signingKey, tenant: 't', timing, ...source }
  if (polled) await reading.put()
  return reading
}

export class Reading {
  constructor(sim, daemon) {
    Object.assign(this, { sim, daemon })
  }

  async good(answering) {
    const answer = await answering
    assert.ok(answer.status < 300, `${answer.status} ${answer.text}`)
    return answer.body
  }

  put(changes = {}) {
    return this.good(this.daemon.put('/v1/sources/mg', { ...this.config, ...changes }))
  }
  async source() {
    return (await this.daemon.get('/v1/sources/mg')).body
  }
  async lane(name) {
    return (await this.source()).lanes.find((lane) => lane.lane === name)
  }
  async warning(code) {
    return (await this.source()).warnings.find((warning) => warning.code === code)
  }
  async stats() {
    return (await this.daemon.get('/v1/mailings/m-1/stats')).body
  }
  // How many addresses are suppressed for what, in the form of the truth.
  async suppressed() {
    const counts = { bounce: 0, complaint: 0, unsubscribe: 0 }
    for (const { reason } of await this.daemon.list('/v1/suppressions')) counts[reason]++
    return counts
  }
  // Results of all lanes and of webhooks together.
  async results() {
    const sum = {}
    const { lanes, webhook } = await this.source()
    for (const { results } of [...lanes, webhook]) for (const [name, n] of Object.entries(results)) sum[name] = (sum[name] ?? 0) + n
    return sum
  }

  // Waits until every figure is the true one; says which ones are not.
  async exact(ms = 30_000) {
    let wrong = []
    const same = (value, found) => (typeof value === 'string' ? Date.parse(value) === Date.parse(found) : value === found)
    await until(
      async () => {
        const [truth, stats] = [(await this.sim.truth()).stats, (await this.stats()) ?? {}]
        wrong = Object.keys(truth).filter((key) => !same(truth[key], stats[key])).map((key) => `${key}: ${stats[key]}, in truth ${truth[key]}`)
        return wrong.length === 0
      },
      ms,
      () => wrong.join('\n'),
    )
  }

  // Waits until every instant up to now has had all its looks.
  async covered(ms = 30_000) {
    const now = Date.now()
    await until(async () => {
      const { coverage } = await this.source()
      const open = coverage.find(({ settled }) => !settled)
      return coverage.length > 0 && Date.parse(open?.begin ?? coverage.at(-1).end) >= now
    }, ms, () => 'the coverage does not settle')
  }

  // Settled, and then everything as in truth: figures, links, suppressions.
  async settled(ms = 30_000) {
    await this.exact(ms)
    await this.covered(ms)
    await this.exact(0)
    const truth = await this.sim.truth()
    assert.deepEqual(await this.suppressed(), truth.suppressed)
    const links = (await this.daemon.list('/v1/mailings/m-1/links')).map(({ url, ...figures }) => [url, figures])
    assert.deepEqual(Object.fromEntries(links), Object.fromEntries(Object.entries(truth.links).filter(([, { clicks }]) => clicks > 0)))
  }

  // The number that the simulator knows a recipient by, of one who was delivered and did nothing since.
  async quiet() {
    for (const { id } of await this.daemon.list('/v1/messages?mailing=m-1&status=delivered')) {
      const { body } = await this.daemon.get(`/v1/messages/${id}`)
      if (!body.opened_at && !body.clicked_at && !body.complained_at && !body.unsubscribed_at) return Number(body.recipient.match(/(\d+)@/)[1])
    }
    throw new Error('everybody did something')
  }

  // Recounted from the rows, nothing differs.
  async checked() {
    const { status, stdout, stderr } = await this.daemon.cli(['check', ...this.daemon.store, '--json'])
    assert.equal(status, 0, stdout + stderr)
    assert.equal(JSON.parse(stdout.trim().split('\n').at(-1)).differ, 0)
  }
}

// The stand-in provider as a process of its own for a test.
//
//   import { startSimulator } from './lib/simulator.mjs'
//
//   const sim = await startSimulator({ mailing: 'm-1', recipients: 2000, 'compress-time': 1440 })
//   sim.url, sim.domain, sim.key, sim.signingKey          // what PUT /v1/sources wants
//   const { status, body } = await sim.get(`/v3/${sim.domain}/events?limit=300`)   // with the key
//   await sim.fault({ status: 429, count: 5, retry_after: 2 })
//   const truth = await sim.truth()
//   await sim.stop()
//
// Options are those of `posthouse simulate mailgun`. What a test has started is ended when its file is done.
import { spawn } from 'node:child_process'
import { after } from 'node:test'
import { program } from './daemon.mjs'

const START_MS = 60_000
const running = new Set()

after(async () => {
  for (const sim of running) await sim.stop()
})

export class Simulator {
  async start(options = {}) {
    const all = { listen: '127.0.0.1:0', ...options }
    const args = Object.entries(all).flatMap(([name, value]) => [`--${name}`, String(value)])
    const child = spawn(program, ['simulate', 'mailgun', ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    this.child = child
    this.output = ''
    running.add(this)
    this.ended = new Promise((resolve) => child.on('close', (code, signal) => resolve(code ?? signal)))
    child.stderr.setEncoding('utf8').on('data', (text) => (this.output += text))
    await new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`the simulator did not become ready\n${this.output}`)), START_MS)
      child.on('close', () => (clearTimeout(timer), reject(new Error(`the simulator ended\n${this.output}`))))
      child.stdout.setEncoding('utf8').on('data', (text) => {
        this.output += text
        const ready = this.output.match(/^simulate ready http=(\S+) domain=(\S+) key=(\S+) signing_key=(\S+)$/m)
        if (!ready) return
        clearTimeout(timer)
        this.url = `http://${ready[1]}`
        ;[, , this.domain, this.key, this.signingKey] = ready
        resolve()
      })
    })
    return this
  }

  // SIGTERM; throws when it ends with anything but 0, so that no leak or crash goes unseen.
  async stop() {
    this.child.kill('SIGTERM')
    const code = await this.ended
    running.delete(this)
    if (code !== 0) throw new Error(`the simulator ended with ${code}\n${this.output}`)
    return code
  }

  // One request with the provider's key: { status, headers, text, body }.
  async request(method, path, { body, headers = {}, key = this.key, type = 'application/json' } = {}) {
    const all = { authorization: `Basic ${btoa(`api:${key}`)}`, ...headers }
    if (body !== undefined && !(body instanceof FormData)) all['content-type'] ??= type
    const raw = body === undefined || typeof body === 'string' || body instanceof FormData
    const url = path.startsWith('http') ? path : this.url + path
    const answer = await fetch(url, { method, headers: all, body: raw ? body : JSON.stringify(body), redirect: 'manual' })
    const text = await answer.text()
    let json
    try {
      json = JSON.parse(text)
    } catch {} // not every answer is meant to be good
    return { status: answer.status, headers: answer.headers, text, body: json }
  }

  get(path, options) {
    return this.request('GET', path, options)
  }
  post(path, body, options) {
    return this.request('POST', path, { body, ...options })
  }
  delete(path, options) {
    return this.request('DELETE', path, options)
  }

  fault(fault) {
    return this.post('/sim/faults', fault)
  }
  healthy() {
    return this.delete('/sim/faults')
  }
  async truth() {
    return (await this.get('/sim/truth')).body
  }
  // The recipients, ready for POST /v1/mailings/{id}/messages.
  async messages() {
    return (await this.get('/sim/messages')).text.trimEnd().split('\n')
  }
  // What was asked of it since request number `after`: { n, at, method, target, status, items }.
  async requests(after = 0) {
    return (await this.get(`/sim/requests?after=${after}`)).body.items
  }
}

export function startSimulator(options) {
  return new Simulator().start(options)
}

// A daemon of its own for a test: free ports, an empty directory, an API client, and every way to end it.
//
//   import { startDaemon, cli } from './lib/daemon.mjs'
//
//   const daemon = await startDaemon()                  // --dev: no token needed
//   const { status, body } = await daemon.put('/v1/tenants/t-1', { timezone: 'Europe/London' })
//   await daemon.bulk('/v1/mailings/m-1/messages', [{ recipient: 'a@x.org' }])
//   await daemon.kill()                                 // as a power cut would: SIGKILL
//   await daemon.start()                                // again, over the same data
//   await daemon.stop()                                 // SIGTERM; gives the exit code
//   cli(['check', ...daemon.store])                     // --data DIR, or --database URL
//
// With POSTHOUSE_TEST_DATABASE=postgres://.. each daemon has a database of its own there, unless its test names a place.
// What a test has started is ended and removed when its file is done, also when it fails.
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after } from 'node:test'
import { postgres } from './postgres.mjs'

export const program = resolve(process.env.POSTHOUSE ?? 'build/release/posthouse')

const START_MS = 60_000 // sanitizers are slow; a good start takes some milliseconds
const STOP_MS = 40_000 // the daemon itself gives up after 25 s
const OUTPUT_MAX = 4 << 20
// Two, whatever the machine would have, so that what they share is shared; POSTHOUSE_TEST_LOOPS=1 for one.
const LOOPS = process.env.POSTHOUSE_TEST_LOOPS ?? '2'

const daemons = new Set()
const folders = new Set()

after(async () => {
  for (const daemon of daemons) await daemon.kill()
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

// An empty directory that is removed at the end.
export function folder() {
  const path = mkdtempSync(join(tmpdir(), 'posthouse-flow-'))
  folders.add(path)
  return path
}

// The environment without what the machine of the tester may have set.
function environment(more) {
  const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('POSTHOUSE')))
  return { ...clean, NO_COLOR: '1', ...more }
}

// Runs one command of the program to its end: { status, stdout, stderr }.
export function cli(args, { env = {}, input, cwd, timeout = 120_000 } = {}) {
  const done = spawnSync(program, args, { encoding: 'utf8', env: environment(env), input, cwd, timeout, maxBuffer: 64 << 20 })
  if (done.error) throw done.error
  return { status: done.status, signal: done.signal, stdout: done.stdout, stderr: done.stderr }
}

// Runs one command beside the test: { child, status, stdout, stderr } when it has ended.
export function cliAsync(args, { env = {}, input, cwd } = {}) {
  return new Promise((done, failed) => {
    const child = spawn(program, args, { env: environment(env), cwd, stdio: ['pipe', 'pipe', 'pipe'] })
    let [stdout, stderr] = ['', '']
    child.stdout.setEncoding('utf8').on('data', (text) => (stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text))
    child.stdin.on('error', () => {}) // it may end without reading
    child.stdin.end(input ?? '')
    child.on('error', failed)
    child.on('close', (status, signal) => done({ status, signal, stdout, stderr }))
  })
}

export class Daemon {
  // options: dev (true), args, env, config (text of a file), data (directory), database (URL in place of data: postgres.mjs),
  // token, http, wrap (command in front)
  constructor(options = {}) {
    this.options = { dev: true, args: [], env: {}, http: '127.0.0.1:0', worker: '127.0.0.1:0', wrap: [], ...options }
    this.folder = folder()
    this.data = options.data ?? join(this.folder, 'data')
    this.token = options.token
    this.child = null
    if (options.config !== undefined) this.configure(options.config)
    daemons.add(this)
  }

  // Writes the configuration file; takes effect at the next start or reload.
  configure(text) {
    this.config = join(this.folder, 'posthouse.conf')
    writeFileSync(this.config, text)
  }

  // Where its rows are, for commands that open the store themselves.
  get store() {
    return this.options.database ? ['--database', this.options.database] : ['--data', this.data]
  }

  async choosePlace() {
    if (process.env.POSTHOUSE_TEST_DATABASE && !this.options.data) this.options.database ??= await (await postgres()).database()
  }

  arguments() {
    const { dev, args, http, worker } = this.options
    return [
      'serve',
      ...(this.config ? ['--config', this.config] : []),
      ...this.store,
      ...(http ? ['--http', http] : []),
      ...(worker ? ['--worker', worker] : []),
      ...(dev ? ['--dev'] : []),
      ...args,
    ]
  }

  // Starts the process and waits for its ready line; throws with its output when it ends before.
  async start() {
    await this.choosePlace()
    const [command, ...args] = [...this.options.wrap, program, ...this.arguments()]
    this.stdout = ''
    this.stderr = ''
    const child = spawn(command, args, { env: environment({ POSTHOUSE_SERVER_LOOPS: LOOPS, ...this.options.env }), cwd: this.folder, stdio: ['ignore', 'pipe', 'pipe'] })
    this.child = child
    this.ended = new Promise((resolve) => child.on('close', (code, signal) => resolve({ code, signal })))
    child.stderr.setEncoding('utf8').on('data', (text) => (this.stderr = (this.stderr + text).slice(-OUTPUT_MAX)))
    await new Promise((resolve, reject) => {
      const failed = (why) => reject(new Error(`the daemon ${why}\n${this.stdout}${this.stderr}`))
      const timer = setTimeout(() => failed('did not become ready'), START_MS)
      child.on('error', reject)
      child.on('close', (code, signal) => (clearTimeout(timer), failed(`ended with ${code ?? signal}`)))
      child.stdout.setEncoding('utf8').on('data', (text) => {
        this.stdout += text
        const ready = this.stdout.match(/^posthouse ready http=(\S+) worker=(\S+) database=(\S+)$/m)
        if (!ready) return
        clearTimeout(timer)
        this.http = ready[1]
        this.worker = ready[2]
        this.database = ready[3]
        this.url = `http://${this.http}`
        resolve()
      })
    })
    return this
  }

  get pid() {
    return this.child?.pid
  }

  get running() {
    return this.child !== null && this.child.exitCode === null && this.child.signalCode === null
  }

  signal(name) {
    if (this.running) process.kill(this.child.pid, name)
  }

  // SIGTERM, and the exit code; 'SIGKILL' when it did not end by itself.
  async stop() {
    if (!this.child) return undefined
    this.signal('SIGTERM')
    const timer = setTimeout(() => this.signal('SIGKILL'), STOP_MS)
    const { code, signal } = await this.ended
    clearTimeout(timer)
    return code ?? signal
  }

  // SIGKILL: no chance to say or write anything more.
  async kill() {
    if (!this.child) return
    this.signal('SIGKILL')
    await this.ended
  }

  async restart() {
    await this.stop()
    return this.start()
  }

  // Resolves when the log has a line that matches, looked for from the start of this run.
  async logged(pattern, ms = 10_000) {
    await until(() => pattern.test(this.stderr), ms, () => `no log line ${pattern}:\n${this.stderr}`)
  }

  // Resident memory in bytes.
  rss() {
    const [, kib] = spawnSync('cat', [`/proc/${this.pid}/status`], { encoding: 'utf8' }).stdout.match(/VmRSS:\s+(\d+)/)
    return Number(kib) * 1024
  }

  // One request: { status, headers, body, text }; body is the JSON of the answer, or undefined.
  async request(method, path, { body, headers = {}, token = this.token, type } = {}) {
    const raw = body === undefined || typeof body === 'string' || body instanceof Uint8Array
    const all = { ...(token ? { authorization: `Bearer ${token}` } : {}), ...headers }
    if (body !== undefined) all['content-type'] ??= type ?? (raw ? 'application/octet-stream' : 'application/json')
    const answer = await fetch(this.url + path, { method, headers: all, body: raw ? body : JSON.stringify(body), redirect: 'manual' })
    const text = await answer.text()
    const json = /\bjson\b/.test(answer.headers.get('content-type') ?? '')
    return { status: answer.status, headers: answer.headers, text, body: json && text ? JSON.parse(text) : undefined }
  }

  get(path, options) {
    return this.request('GET', path, options)
  }
  put(path, body, options) {
    return this.request('PUT', path, { body, type: 'application/json', ...options })
  }
  post(path, body, options) {
    return this.request('POST', path, { body, type: 'application/json', ...options })
  }
  patch(path, body, options) {
    return this.request('PATCH', path, { body, type: 'application/json', ...options })
  }
  delete(path, options) {
    return this.request('DELETE', path, options)
  }

  // NDJSON from objects (or ready lines).
  bulk(path, lines, options) {
    const text = lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line)) + '\n').join('')
    return this.request('POST', path, { body: text, type: 'application/x-ndjson', ...options })
  }

  // All items of a list, page by page.
  async list(path, limit = 1000) {
    const items = []
    for (let after = null; ; ) {
      const page = `${path}${path.includes('?') ? '&' : '?'}limit=${limit}${after ? `&after=${encodeURIComponent(after)}` : ''}`
      const { status, body, text } = await this.get(page)
      if (status !== 200) throw new Error(`GET ${page}: ${status} ${text}`)
      items.push(...body.items)
      if (body.next === null) return items
      after = body.next
    }
  }

  // A client command of the program against this daemon.
  cli(args, options = {}) {
    const env = { POSTHOUSE_URL: this.url, ...(this.token ? { POSTHOUSE_TOKEN: this.token } : {}), ...options.env }
    return cliAsync(args, { ...options, env })
  }
}

export async function startDaemon(options) {
  return new Daemon(options).start()
}

// Asks until the answer is as wanted, and gives it; the error says what it was instead.
export async function untilIs(ask, wanted, ms = 20_000) {
  let seen
  await until(async () => wanted((seen = await ask())), ms, () => `not within ${ms} ms: ${JSON.stringify(seen)}`)
  return seen
}

// Asks again and again until `check` gives something true, which it returns; looks often, so that no test waits longer
// than what it waits for.
export async function until(check, ms = 10_000, why = () => 'it did not happen in time') {
  const end = Date.now() + ms
  for (;;) {
    const value = await check()
    if (value) return value
    if (Date.now() > end) throw new Error(why())
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

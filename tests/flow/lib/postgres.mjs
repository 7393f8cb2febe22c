// A PostgreSQL of its own for a test file: a directory that goes away, loopback only, ended by its process id.
//
//   import { postgres, skip } from './lib/postgres.mjs'
//
//   test('...', { skip }, async () => {                 // skip: false, or why there is none here
//     const server = await postgres()                   // started once for the file
//     const url = await server.database()               // an empty database: postgres://posthouse@127.0.0.1:NNNN/t_1
//     const daemon = await startDaemon({ database: url })
//     const rows = await server.query(url, 'SELECT 1')  // [['1']], as text
//     const session = server.session(url)               // one connection: await session.say('BEGIN'); .. session.end()
//     await server.crash()                              // every connection breaks; server.start() brings it back
//   })
//
// With POSTHOUSE_TEST_DATABASE=postgres://.. the tests use that server: it is neither started nor ended here, its user
// must be one that may make databases, and those made are dropped at the end.
//
// PostgreSQL refuses to run as root; then it runs as user postgres, or nobody.
import { execFileSync, spawn } from 'node:child_process'
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { freePort } from './ports.mjs'

const START_MS = 60_000
const ROOTS = ['/usr/lib/postgresql']
const given = process.env.POSTHOUSE_TEST_DATABASE

// The directory of initdb and postgres: the newest of Debian's, or what PATH has.
function findPrograms() {
  const versions = ROOTS.filter(existsSync).flatMap((root) => readdirSync(root).map((name) => ({ root, name })))
  versions.sort((a, b) => Number(b.name) - Number(a.name))
  const folders = [...versions.map(({ root, name }) => join(root, name, 'bin')), ...(process.env.PATH ?? '').split(':')]
  return folders.find((folder) => existsSync(join(folder, 'initdb')) && existsSync(join(folder, 'postgres')))
}

// { uid, gid } to run it as, or undefined when we are nobody's root.
function findUser() {
  if (process.getuid() !== 0) return {}
  for (const name of ['postgres', 'nobody'])
    try {
      const ask = (flag) => Number(execFileSync('id', [flag, name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }))
      return { uid: ask('-u'), gid: ask('-g') }
    } catch {} // there is no such user
  return undefined
}

const programs = findPrograms()
const user = findUser()

// For node:test: false, or the reason why these tests cannot run here; skipOwn for those that start servers of their own.
export const skipOwn = !programs
  ? 'no PostgreSQL on this machine (package postgresql)'
  : !user && 'PostgreSQL refuses to run as root, and there is no user postgres or nobody'
export const skip = given ? false : skipOwn

const servers = new Set()
const sessions = new Set()
after(async () => {
  for (const session of sessions) session.end()
  for (const server of servers) await server.end()
})

const psql = programs ? join(programs, 'psql') : 'psql'

// One connection, for a transaction of several steps or for the moment at which a statement is through.
class Session {
  text = ''
  errors = ''
  waits = []

  constructor(url) {
    this.child = spawn(psql, ['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', url], { stdio: ['pipe', 'pipe', 'pipe'], env: { PATH: process.env.PATH } })
    this.child.stdin.on('error', () => {}) // it may end without reading
    this.child.stderr.setEncoding('utf8').on('data', (piece) => (this.errors += piece))
    this.child.stdout.setEncoding('utf8').on('data', (piece) => this.hear(piece))
    this.child.on('error', (error) => this.fail(error))
    this.child.on('close', (code) => this.fail(new Error(`psql ended with ${code}: ${this.errors}`)))
    sessions.add(this)
  }

  hear(piece) {
    const parts = (this.text + piece).split('\u001e\n')
    this.text = parts.pop()
    for (const part of parts) this.waits.shift().resolve(part.trimEnd())
  }
  fail(error) {
    for (const { reject } of this.waits.splice(0)) reject(error)
  }

  // Runs a text; what it prints, when it is through.
  say(text) {
    return new Promise((resolve, reject) => {
      this.waits.push({ resolve, reject })
      this.child.stdin.write(`${text};\n\\echo '\u001e'\n`)
    })
  }

  end() {
    sessions.delete(this)
    this.child.stdin.end()
  }
}

class Server {
  made = []

  // given: the URL of a server that runs already
  constructor(given) {
    this.given = given
  }

  // Of the server itself, to make databases with.
  get admin() {
    return this.given ?? this.url('postgres')
  }
  url(database) {
    return `postgres://posthouse@127.0.0.1:${this.port}/${database}`
  }

  run(program, args) {
    execFileSync(join(programs, program), args, { ...user, cwd: this.folder, stdio: ['ignore', 'ignore', 'pipe'], env: { PATH: process.env.PATH } })
  }

  // Makes the directory, once. What a power cut would lose is not asked of these tests, so nothing is synced here.
  make(fill = (server) => server.run('initdb', ['-D', server.data, '-U', 'posthouse', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'])) {
    this.folder = mkdtempSync(join(tmpdir(), 'posthouse-postgres-'))
    if (user.uid !== undefined) chownSync(this.folder, user.uid, user.gid)
    this.data = join(this.folder, 'data')
    fill(this)
    return this
  }

  // settings: what postgres itself is told, as { max_connections: 20 }; kept for the next start.
  async start(settings = this.settings ?? {}) {
    if (this.given) return this
    this.settings = settings
    if (!this.folder) this.make()
    this.port ??= await freePort()
    const all = {
      listen_addresses: '127.0.0.1',
      port: this.port,
      unix_socket_directories: this.folder,
      max_connections: 200,
      shared_buffers: '64MB',
      fsync: 'off',
      ...settings,
    }
    const args = ['-D', this.data, ...Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`])]
    this.log = ''
    this.child = spawn(join(programs, 'postgres'), args, { ...user, cwd: this.folder, stdio: ['ignore', 'ignore', 'pipe'], env: { PATH: process.env.PATH } })
    this.ended = new Promise((resolve) => this.child.on('close', resolve))
    this.child.stderr.setEncoding('utf8').on('data', (text) => (this.log = (this.log + text).slice(-(1 << 20))))
    await this.ready()
    return this
  }

  // "ready to accept connections" is the last line of a start, "read-only connections" that of a standby.
  async ready() {
    const end = Date.now() + START_MS
    while (!/database system is ready to accept (read-only )?connections/.test(this.log)) {
      if (this.child.exitCode !== null || Date.now() > end) throw new Error(`PostgreSQL did not start\n${this.log}`)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  // Tells the postmaster, and waits until it is gone. SIGINT: connections are closed and everything is written;
  // SIGQUIT: as a crash, what comes next is a recovery.
  async signal(name) {
    if (this.given || !this.child || this.child.exitCode !== null || this.child.signalCode !== null) return
    process.kill(this.child.pid, name)
    await this.ended
  }
  stop() {
    return this.signal('SIGINT')
  }
  crash() {
    return this.signal('SIGQUIT')
  }
  // SIGKILL to the postmaster alone: what it had started finds out by itself and ends; start() waits for that.
  kill() {
    return this.signal('SIGKILL')
  }

  // Runs a text, one or several statements; the rows of the last, values as text.
  async query(url, text) {
    const args = ['-X', '-q', '-A', '-t', '-F', '\u001f', '-R', '\u001e', '-v', 'ON_ERROR_STOP=1', url, '-c', text]
    return new Promise((resolve, reject) => {
      const child = spawn(psql, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: process.env.PATH } })
      let [out, err] = ['', '']
      child.stdout.setEncoding('utf8').on('data', (piece) => (out += piece))
      child.stderr.setEncoding('utf8').on('data', (piece) => (err += piece))
      child.on('error', reject)
      child.on('close', (code) => {
        if (code !== 0) return reject(new Error(`psql ended with ${code}: ${err}`))
        const text = out.replace(/[\n\u001e]$/, '')
        resolve(text === '' ? [] : text.split('\u001e').map((row) => row.split('\u001f')))
      })
    })
  }

  session(url) {
    return new Session(url)
  }

  // An empty database of its own, and its URL.
  async database() {
    const name = `t_${process.pid}_${this.made.length + 1}`
    this.made.push(name)
    await this.query(this.admin, `CREATE DATABASE ${name}`)
    const url = new URL(this.admin)
    url.pathname = `/${name}`
    return url.href
  }

  async end() {
    servers.delete(this)
    if (this.given) for (const name of this.made) await this.query(this.admin, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)
    await this.stop()
    if (this.folder) rmSync(this.folder, { recursive: true, force: true })
  }
}

// Another server, for a test that ends it or wants settings of its own; its own also with POSTHOUSE_TEST_DATABASE.
export async function startPostgres(settings) {
  return start(new Server(), settings)
}

function start(server, settings) {
  servers.add(server)
  return server.start(settings)
}

// A primary and its synchronous standby: what the primary has committed is on both.
class Pair {
  constructor(primary, standby) {
    Object.assign(this, { primary, standby })
  }

  // An empty database; the URL names both servers.
  async database() {
    const { pathname } = new URL(await this.primary.database())
    return `postgres://posthouse@127.0.0.1:${this.primary.port},127.0.0.1:${this.standby.port}${pathname}`
  }

  // The standby takes writes from now on.
  async promote() {
    const [[promoted]] = await this.standby.query(this.standby.admin, 'SELECT pg_promote(true, 60)')
    if (promoted !== 't') throw new Error('the standby was not promoted')
  }

  async end() {
    await this.standby.end()
    await this.primary.end()
  }
}

export async function startPair(settings) {
  const primary = await startPostgres(settings)
  const from = ['-h', '127.0.0.1', '-p', String(primary.port), '-U', 'posthouse']
  const standby = new Server().make((server) => server.run('pg_basebackup', [...from, '-D', server.data, '-X', 'stream', '-c', 'fast', '-R', '--no-sync']))
  await start(standby, settings)
  await primary.query(primary.admin, "ALTER SYSTEM SET synchronous_standby_names = '*'")
  await primary.query(primary.admin, 'SELECT pg_reload_conf()')
  const state = () => primary.query(primary.admin, 'SELECT sync_state FROM pg_stat_replication')
  const end = Date.now() + START_MS
  while ((await state())[0]?.[0] !== 'sync') {
    if (Date.now() > end) throw new Error(`the standby does not follow\n${standby.log}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return new Pair(primary, standby)
}

// The server of this file, started when first asked for.
let shared
export function postgres() {
  shared ??= start(new Server(given))
  return shared
}

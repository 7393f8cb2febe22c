// A pooler in transaction mode between a test and its PostgreSQL, ended by its process id.
//
//   import { skipPool, startPool } from './lib/pgbouncer.mjs'
//
//   test('...', { skip: skip || skipPool }, async () => {
//     const pooled = await startPool(url)      // the same database, reached through it
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, existsSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { after } from 'node:test'
import { folder, until } from './daemon.mjs'
import { freePort } from './ports.mjs'

const program = [resolve('.tools/pgbouncer'), '/usr/sbin/pgbouncer'].find((path) => existsSync(path) && spawnSync(path, ['--version']).status === 0)
const nobody = process.getuid() === 0 ? { uid: 65534, gid: 65534 } : {} // it refuses to run as root
const pools = new Set()
after(() => pools.forEach((child) => child.kill()))

// For node:test: false, or the reason why there is none.
export const skipPool = !program && 'no PgBouncer on this machine (package pgbouncer)'

// With `connections` to the server; the URL through it.
export async function startPool(url, connections = 2) {
  const { hostname, port, username, pathname } = new URL(url)
  const home = folder()
  const listen = await freePort()
  const name = pathname.slice(1)
  chmodSync(home, 0o755)
  writeFileSync(join(home, 'users.txt'), `"${username}" ""\n`)
  writeFileSync(
    join(home, 'pgbouncer.ini'),
    `[databases]\n${name} = host=${hostname} port=${port} dbname=${name} user=${username}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = ${listen}\n` +
      `unix_socket_dir =\nauth_type = trust\nauth_file = ${join(home, 'users.txt')}\npool_mode = transaction\ndefault_pool_size = ${connections}\nmax_client_conn = 100\n`,
  )
  const own = join(home, 'pgbouncer') // a copy, because a checkout below /root is closed to nobody
  copyFileSync(program, own)
  chmodSync(own, 0o755)
  const child = spawn(own, [join(home, 'pgbouncer.ini')], { ...nobody, stdio: ['ignore', 'ignore', 'pipe'] })
  pools.add(child)
  let log = ''
  child.stderr.setEncoding('utf8').on('data', (text) => (log += text))
  await until(() => /process up/.test(log) || child.exitCode !== null, 10_000)
  assert.match(log, /process up/, log)
  return `postgres://${username}@127.0.0.1:${listen}/${name}`
}

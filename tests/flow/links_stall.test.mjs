// Tracked links while nobody can write: another process holds the database's lock. With POSTHOUSE_TEST_SLOW=1 for a
// minute, else for some seconds.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { cli, startDaemon, until } from './lib/daemon.mjs'

const STALL_MS = process.env.POSTHOUSE_TEST_SLOW ? 60_000 : 6_000
const SPOOL_BYTES = 32 << 20

const follow = async (daemon, member) => (await fetch(`${daemon.url}/r/a?m=${member}`, { redirect: 'manual' })).status
const clicks = async (daemon) => (await daemon.get('/v1/links/a')).body.stats.clicks

// Nobody writes to the file until release().
async function hold(file) {
  const shell = spawn('sqlite3', [file], { stdio: ['pipe', 'pipe', 'inherit'] })
  const held = new Promise((resolve) => shell.stdout.once('data', resolve))
  shell.stdin.write('.timeout 5000\nBEGIN IMMEDIATE;\nSELECT 1;\n')
  await held
  return () => shell.stdin.end('ROLLBACK;\n')
}

test('readers are sent on while somebody else holds the database, and every click is counted once afterwards', async (t) => {
  const daemon = await startDaemon()
  t.after(() => daemon.kill())
  await daemon.put('/v1/tenants/t-1', {})
  await daemon.put('/v1/mailings/m-1', { tenant: 't-1' })
  const lines = Array.from({ length: 50 }, (_, i) => ({ recipient: `r${i}@x.example`, member: `r${i}` }))
  await daemon.bulk('/v1/mailings/m-1/messages', lines)
  await daemon.put('/v1/links/a', { url: 'https://shop.example.org/', tenant: 't-1', mailing: 'm-1' })
  assert.equal(await follow(daemon, 'r0'), 302)
  const spool = join(daemon.data, 'click-spool')
  await until(() => existsSync(spool) && statSync(spool).size >= SPOOL_BYTES)
  const release = await hold(join(daemon.data, 'posthouse.db'))
  let answered = 1
  assert.equal(await follow(daemon, 'r1'), 302) // the one that finds out
  answered++
  for (const end = Date.now() + STALL_MS; Date.now() < end; answered++) assert.equal(await follow(daemon, `r${answered % 50}`), 302)
  assert.ok(answered > 100, `${answered} were answered`)
  assert.equal((await daemon.get('/readyz')).status, 503)
  assert.match((await daemon.get('/metrics')).text, /^posthouse_click_spool_records [1-9]/m)
  release()
  await until(async () => (await daemon.get('/readyz')).status === 200, 30_000)
  await until(async () => (await clicks(daemon)) === answered, 10_000, () => `${answered} were answered`)
  assert.equal(await daemon.stop(), 0)
  const { status, stdout } = cli(['check', ...daemon.store])
  assert.equal(status, 0, stdout)
})

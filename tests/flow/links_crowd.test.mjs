// Tracked links among thousands of clients that hang: they connect and say nothing, stop in the middle of a head or send it
// byte by byte, or ask and do not read. CROWD says how many.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { startDaemon, until } from './lib/daemon.mjs'
import { checked, clicks, follow } from './lib/clicks.mjs'

const CROWD = Number(process.env.CROWD || 10_000)
const PLACES = Math.ceil(CROWD * 0.8) // fewer than clients that hang
const CLICKS = 200
const DEAF = 40 // of the crowd ask and do not read: what they are sent fills the memory of sockets
const MEMORY_MAX = 128 << 20

const head = 'GET /r/a?m=slow HTTP/1.1\r\nHost: x\r\nX-Slow: '
const descriptors = () => Number(readFileSync('/proc/self/limits', 'latin1').match(/^Max open files\s+(\d+)/m)[1])
const memory = (pid) => Number(readFileSync(`/proc/${pid}/status`, 'latin1').match(/^VmRSS:\s+(\d+) kB/m)[1]) * 1024

// One that has connected and says `words`; the daemon may end it at any time.
function hang(daemon, words, reads = true) {
  const url = new URL(daemon.url)
  return new Promise((connected) => {
    const socket = connect(Number(url.port), url.hostname, () => {
      socket.write(words)
      connected(socket)
    })
    socket.on('error', () => connected(socket))
    if (reads) socket.resume()
    else socket.pause()
  })
}

const oneOf = (daemon, i) => {
  if (i < DEAF) return hang(daemon, 'GET /openapi.yaml HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(400), false)
  return hang(daemon, ['', head, head][i % 3])
}

// Every third goes on with its head, never to end it.
function dribble(crowd) {
  const timer = setInterval(() => {
    for (let i = DEAF; i < crowd.length; i++) if (i % 3 === 2 && crowd[i].writable) crowd[i].write('x')
  }, 500)
  return () => clearInterval(timer)
}

test('thousands of clients that hang take nobody else his place, and who clicks is answered', async (t) => {
  if (descriptors() < CROWD + 500) return t.skip(`${CROWD} connections need more open files than the ${descriptors()} allowed here`)
  const daemon = await startDaemon({ env: { POSTHOUSE_SERVER_CONNECTIONS: String(PLACES) } })
  t.after(() => daemon.kill())
  await daemon.put('/v1/tenants/t-1', {})
  await daemon.put('/v1/links/a', { url: 'https://shop.example.org/', tenant: 't-1' })
  const crowd = await Promise.all(Array.from({ length: CROWD }, (_, i) => oneOf(daemon, i)))
  const hush = dribble(crowd)
  t.after(() => {
    hush()
    for (const socket of crowd) socket.destroy()
  })
  // For a moment nobody has hung long enough to be told from somebody who is about to ask.
  await until(async () => (await follow(daemon, '/r/a', false).catch(() => ({}))).status === 302)
  const begun = performance.now()
  for (let i = 0; i < CLICKS; i++) assert.equal((await follow(daemon, `/r/a?m=r${i}`, false)).status, 302)
  const each = ((performance.now() - begun) / CLICKS).toFixed(2)
  t.diagnostic(`${CLICKS} redirects, one after the other on connections of their own, beside ${CROWD}: ${each} ms each`)
  const used = memory(daemon.pid)
  t.diagnostic(`the daemon has ${(used / (1 << 20)).toFixed(0)} MiB`)
  assert.ok(used < MEMORY_MAX, `${used} bytes`)
  assert.equal(await clicks(daemon), CLICKS)
  hush()
  for (const socket of crowd) socket.destroy()
  await checked(daemon)
})

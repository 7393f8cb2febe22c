// What tests of tracked links share: readers who click, and ways to keep the store from taking it.
//
//   const { status, headers, body } = await follow(daemon, '/r/a?m=ann')
//   await pipeline(daemon, paths, ({ status }) => ...)      // one connection, all requests at once, answers in order
//   await spoolIsThere(daemon)
//   const release = await hold(t, daemon)                   // ... nobody writes to the store ...
//   release()
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { request as ask } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { cli, until } from './daemon.mjs'

const BROWSER = 'Mozilla/5.0 (X11) Firefox/128.0'

// A spool that is full soon and leaves a small disk its space: startDaemon({ env: SMALL_SPOOL }).
export const SPOOL_CLICKS = 20_000
export const SMALL_SPOOL = { POSTHOUSE_LINKS_SPOOL_CLICKS: String(SPOOL_CLICKS) }
const RECORD_BYTES = 80

// One click on a connection of its own (agent false) or of an agent; redirects are not followed.
export function follow(daemon, path, agent = undefined) {
  return new Promise((resolve, reject) => {
    const url = new URL(daemon.url)
    const options = { host: url.hostname, port: url.port, path, agent, headers: { 'user-agent': BROWSER } }
    const asked = ask(options, (answer) => {
      let body = ''
      answer.on('data', (part) => (body += part))
      answer.on('end', () => resolve({ status: answer.statusCode, headers: answer.headers, body }))
      answer.on('error', reject)
    })
    asked.on('error', reject)
    asked.end()
  })
}

// Asks for all paths at once on one connection; tells the status of each answer as it comes, in order. Answers must have
// no body or a Content-Length.
export function pipeline(daemon, paths, answered) {
  return new Promise((resolve, reject) => {
    const url = new URL(daemon.url)
    const socket = connect(Number(url.port), url.hostname)
    let text = ''
    let left = paths.length
    socket.setEncoding('latin1')
    socket.on('error', reject)
    socket.on('close', () => (left === 0 ? resolve() : reject(new Error(`${left} answers are missing`))))
    socket.on('data', (part) => {
      text += part
      for (;;) {
        const end = text.indexOf('\r\n\r\n')
        if (end < 0) return
        const all = end + 4 + Number(text.slice(0, end).match(/^content-length: (\d+)/im)?.[1] ?? 0)
        if (text.length < all) return
        answered({ status: Number(text.slice(9, 12)) })
        text = text.slice(all)
        if (--left === 0) socket.end()
      }
    })
    socket.write(paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: x\r\nUser-Agent: ${BROWSER}\r\n\r\n`).join(''))
  })
}

// A small spool is made in the background when the first click comes.
export const spoolIsThere = (daemon, room = SPOOL_CLICKS) =>
  until(() => {
    const spool = join(daemon.data, 'click-spool')
    return existsSync(spool) && statSync(spool).size >= room * RECORD_BYTES
  })

// Nobody writes to the database until release(), or the end of the test.
export async function hold(t, daemon) {
  const shell = spawn('sqlite3', [join(daemon.data, 'posthouse.db')], { stdio: ['pipe', 'pipe', 'inherit'] })
  const held = new Promise((resolve) => shell.stdout.once('data', resolve))
  const release = () => shell.stdin.end()
  t.after(release)
  shell.stdin.write('.timeout 5000\nBEGIN IMMEDIATE;\nSELECT 1;\n')
  await held
  return release
}

export const clicks = async (daemon, code = 'a') => (await daemon.get(`/v1/links/${code}`)).body.stats.clicks

// Ends the daemon and counts everything again.
export async function checked(daemon) {
  assert.equal(await daemon.stop(), 0)
  const { status, stdout } = cli(['check', ...daemon.store])
  assert.equal(status, 0, stdout)
}

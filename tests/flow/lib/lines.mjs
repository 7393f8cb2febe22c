// A client of the worker door that speaks raw lines.
//
//   const c = await connect(daemon.worker)                  // greeted: c.greeting
//   await c.hello({ wid: 'w1' })                            // '+OK'
//   await c.ask('PUSH {...}')                               // one answer: '+OK', '-ERR ...', a bulk string's text, null
//   c.send('FETCH a\r\nINFO\r\n'); await c.answer()         // by hand
import net from 'node:net'

const WAIT_MS = 15_000

export class Lines {
  constructor(socket) {
    this.socket = socket
    this.bytes = Buffer.alloc(0)
    this.ended = false
    this.waiting = []
    const wake = () => this.waiting.splice(0).forEach((resume) => resume())
    socket.on('data', (piece) => ((this.bytes = this.bytes.length ? Buffer.concat([this.bytes, piece]) : piece), wake()))
    socket.on('close', () => ((this.ended = true), wake()))
    socket.on('error', () => {}) // ends with close
  }

  send(text) {
    this.socket.write(text)
  }

  more() {
    return new Promise((resume, reject) => {
      const timer = setTimeout(() => reject(new Error(`nothing came in ${WAIT_MS} ms`)), WAIT_MS)
      this.waiting.push(() => (clearTimeout(timer), resume()))
    })
  }

  async take(n) {
    while (this.bytes.length < n) {
      if (this.ended) throw new Error('the server ended the connection')
      await this.more()
    }
    const taken = this.bytes.subarray(0, n)
    this.bytes = this.bytes.subarray(n)
    return taken
  }

  async line() {
    for (let from = 0; ; ) {
      const at = this.bytes.indexOf('\r\n', from)
      if (at >= 0) return (await this.take(at + 2)).subarray(0, at).toString()
      from = Math.max(0, this.bytes.length - 1)
      if (this.ended) throw new Error('the server ended the connection')
      await this.more()
    }
  }

  // '+OK' and '-ERR ...' as they stand, the text of a bulk string, null for none.
  async answer() {
    const line = await this.line()
    if (line[0] !== '$') return line
    if (line === '$-1') return null
    const n = Number(line.slice(1))
    return (await this.take(n + 2)).subarray(0, n).toString()
  }

  ask(command) {
    this.send(command + '\r\n')
    return this.answer()
  }

  async json(command) {
    return JSON.parse(await this.ask(command))
  }

  hello(fields = {}) {
    return this.ask('HELLO ' + JSON.stringify({ v: 2, ...fields }))
  }

  // Resolves with what still came when the server has ended the connection.
  async end() {
    while (!this.ended) await this.more()
    return this.bytes.toString()
  }

  close() {
    this.socket.destroy()
  }
}

export async function connect(address) {
  const at = address.lastIndexOf(':')
  const socket = net.connect({ host: address.slice(0, at).replace(/[[\]]/g, ''), port: Number(address.slice(at + 1)), noDelay: true })
  await new Promise((done, failed) => (socket.once('connect', done), socket.once('error', failed)))
  const client = new Lines(socket)
  client.greeting = await client.line()
  return client
}

// Connected and welcome.
export async function enter(address, fields) {
  const client = await connect(address)
  const welcome = await client.hello(fields)
  if (welcome !== '+OK') throw new Error(`not welcome: ${welcome}`)
  return client
}

// A disk that can be full: a small file system of its own, which only root can mount.
//
//   const place = smallDisk(t, 12 << 20)
//   if (!place) return t.skip('mounting a file system is not allowed here')
//   const free = fill(place) // ... no space is left ...
//   free()
import { spawnSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { folder } from './daemon.mjs'

// Its folder, until the test ends; null when mounting is not allowed here.
export function smallDisk(t, bytes) {
  const place = join(folder(), 'disk')
  mkdirSync(place)
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'posthouse-test', place], { encoding: 'utf8' })
  if (mounted.status !== 0) return null
  t.after(() => spawnSync('umount', ['-l', place]))
  return place
}

// Takes all space that is left; what it gives back frees it.
export function fill(place) {
  const path = join(place, 'ballast')
  const file = openSync(path, 'w')
  for (let bytes = 1 << 20; bytes >= 1; ) {
    try {
      if (writeSync(file, Buffer.alloc(bytes)) < bytes) bytes >>= 1
    } catch (error) {
      if (error.code !== 'ENOSPC') throw error
      bytes >>= 1
    }
  }
  closeSync(file)
  return () => rmSync(path)
}

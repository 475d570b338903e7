/**
 * Progress of transfers on standard error: a line that is redrawn on a terminal, or else one line every
 * few seconds.
 */
import { binary } from './terminal.ts'

/** What the output of a command needs from a stream. */
export interface Screen {
  isTTY?: boolean
  columns?: number
  rows?: number
  write(text: string): unknown
}

export interface TransferLine {
  /** Bytes so far, and in total. */
  update: (bytes: number, totalBytes: number) => void
  /** Leaves the last state on the screen. May be called twice. */
  end: () => void
}

/** One transfer with its rate and remaining time. */
export function transferLine(stream: Screen, label: string): TransferLine {
  const rate = rateMeter()
  let drawn = Number.NEGATIVE_INFINITY
  let state = ''
  let open = false
  return {
    update(bytes, totalBytes) {
      rate.at(bytes)
      state = transferState(label, bytes, totalBytes, rate.bytesPerSecond())
      const now = performance.now()
      if (now - drawn < (stream.isTTY ? 100 : 5000)) return
      drawn = now
      open = true
      stream.write(stream.isTTY ? `\r\x1b[2K${fit(state, stream)}` : `${state}\n`)
    },
    end() {
      if (open && stream.isTTY) stream.write(`\r\x1b[2K${fit(state, stream)}\n`)
      open = false
    },
  }
}

/** '  34 %  4.71 GiB of 12.82 GiB  312 MiB/s  27 s left  label'. */
export function transferState(label: string, bytes: number, totalBytes: number, bytesPerSecond: number): string {
  const percent = totalBytes > 0 ? Math.floor((100 * bytes) / totalBytes) : 100
  const remaining = bytesPerSecond > 0 ? `${duration((totalBytes - bytes) / bytesPerSecond)} left` : 'waiting'
  const rate = bytes >= totalBytes ? '' : `  ${binary(Math.round(bytesPerSecond))}/s  ${remaining}`
  return `${String(percent).padStart(3)} %  ${binary(bytes)} of ${binary(totalBytes)}${rate}  ${label}`
}

/** 93 -> '1 min 33 s'. */
export function duration(seconds: number): string {
  const whole = Math.ceil(seconds)
  if (whole < 60) return `${whole} s`
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`
}

/** The rate over the last ten seconds. */
export function rateMeter(now: () => number = () => performance.now()) {
  const seen: { time: number; bytes: number }[] = []
  return {
    at(bytes: number) {
      const time = now()
      if (seen.length === 0 || time - seen.at(-1)!.time >= 200) seen.push({ time, bytes })
      while (seen.length > 2 && time - seen[0]!.time > 10_000) seen.shift()
    },
    bytesPerSecond(): number {
      const [first, last] = [seen[0], seen.at(-1)]
      return first && last && last.time > first.time ? ((last.bytes - first.bytes) / (last.time - first.time)) * 1000 : 0
    },
  }
}

/** A terminal line that wraps cannot be redrawn. */
export const fit = (text: string, stream: Screen): string => text.slice(0, Math.max(20, (stream.columns ?? 80) - 1))

/**
 * Runs jobs on a few threads, each job whole on one of them: comparisons need many small runs, not one fast one.
 */
import { Worker } from 'node:worker_threads'
import type { Job, JobResult } from './job.ts'

export interface JobsOptions {
  threads: number
  onResult?: (result: JobResult, done: number, of: number) => void
  signal?: AbortSignal
}

/** Results in the order of the jobs. */
export async function runJobs(jobs: readonly Job[], { threads, onResult, signal }: JobsOptions): Promise<JobResult[]> {
  const results: JobResult[] = new Array(jobs.length)
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  let next = 0
  let done = 0
  const lane = async () => {
    while (next < jobs.length && !signal?.aborted) {
      const index = next++
      const worker = new Worker(new URL(`./job-worker-node.${extension}`, import.meta.url), { workerData: jobs[index] })
      const abort = () => void worker.terminate()
      signal?.addEventListener('abort', abort, { once: true })
      results[index] = await new Promise<JobResult>((resolve, reject) => {
        worker.on('message', resolve)
        worker.on('error', reject)
        worker.on('exit', () => reject(signal?.reason ?? new Error(`the thread of job ${jobs[index]!.label} ended without a result`)))
      })
      signal?.removeEventListener('abort', abort)
      onResult?.(results[index], ++done, jobs.length)
    }
  }
  await Promise.all(Array.from({ length: Math.min(threads, jobs.length) }, lane))
  signal?.throwIfAborted()
  return results
}

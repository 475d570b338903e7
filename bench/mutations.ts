/** 20,000 mutated requests against all endpoints; the test suite sends a sample. `node bench/mutations.ts`, LINEAGE_SEED for others. */
process.env.LINEAGE_MUTATIONS ??= '20000'
await import('../test/server/mutations.test.ts')

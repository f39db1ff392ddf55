/** Decorators as Nest and class-validator need them; class fields assigned, not defined, so that DTO decorators see them. */
const swc = [
  '@swc/jest',
  {
    jsc: {
      parser: { syntax: 'typescript', decorators: true },
      transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: false },
      target: 'es2022',
      keepClassNames: true,
    },
    module: { type: 'commonjs' },
    sourceMaps: 'inline',
  },
];

const shared = {
  rootDir: __dirname,
  roots: ['<rootDir>/apps', '<rootDir>/libs', '<rootDir>/tools'],
  testEnvironment: 'node',
  transform: { '^.+\\.m?[jt]s$': swc },
  // Jest's own module loader takes no ES modules from require, as Node does: these are turned like our own code.
  transformIgnorePatterns: ['/node_modules/(?!(openid-client|oauth4webapi|jose)/)'],
  moduleNameMapper: {
    '^@tyrum/test-services$': '<rootDir>/tools/test-services/index.ts',
    '^@tyrum/statestore/(records|turns)$': '<rootDir>/libs/statestore/src/$1/index.ts',
    '^@tyrum/secrets/redactor$': '<rootDir>/libs/secrets/src/redactor.ts',
    '^@tyrum/([^/]+)/testing$': '<rootDir>/libs/$1/src/testing/index.ts',
    '^@tyrum/([^/]+)/nest$': '<rootDir>/libs/$1/src/nest.ts',
    '^@tyrum/([^/]+)$': '<rootDir>/libs/$1/src/index.ts',
  },
  setupFiles: ['reflect-metadata'],
  modulePathIgnorePatterns: ['<rootDir>/dist'],
};

/** @type {import('jest').Config} */
module.exports = {
  projects: [
    {
      ...shared,
      displayName: 'unit',
      testMatch: ['**/*.spec.ts'],
      testPathIgnorePatterns: ['/node_modules/', '\\.int\\.spec\\.ts$'],
    },
    {
      ...shared,
      displayName: 'int',
      testMatch: ['**/*.int.spec.ts'],
      globalSetup: '<rootDir>/tools/test-services/global-setup.ts',
      globalTeardown: '<rootDir>/tools/test-services/global-teardown.ts',
    },
  ],
  // Whole processes, databases and browsers are started in these, and mostly waited for: two cores carry four at a time.
  maxWorkers: 4,
  testTimeout: 120_000,
};

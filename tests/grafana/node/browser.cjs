// What Grafana's packages ask of a browser when they are loaded: an address, a storage in which nothing was kept, and no history.
process.env.NODE_ENV = 'test';
Object.assign(globalThis, { window: globalThis, location: new URL('http://localhost/'), localStorage: { getItem: () => null } });
globalThis.navigator ??= { userAgent: '', language: 'en-US', languages: ['en-US'] };

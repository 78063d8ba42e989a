// What the pages are shown on: the simulated AWS, the daemon in front of it, and a browser.

import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { chromium } from 'playwright-core';

const ACCOUNT = '111122223333';
const REGION = 'eu-west-1';
const CLUSTER = 'shop';
const FLAGS = [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync',
];
const PREFIX = { ecs: 'AmazonEC2ContainerServiceV20141113', sqs: 'AmazonSQS' };
export const OPERATOR = 'the-token-of-ann';
export const READER = 'the-token-of-a-screen';

export const SERVICES = ['api', 'web', 'mail'];

/** The first line that a process writes, or what it wrote instead. */
function started(child, pattern) {
    return new Promise((resolve, reject) => {
        let text = '';
        const hear = (chunk) => {
            text += chunk;
            const found = text.match(pattern);
            if (found) resolve(found[0]);
        };
        child.stdout.on('data', hear);
        child.stderr.on('data', hear);
        child.on('error', reject);
        child.on('exit', (code) => reject(new Error(`it ended with ${code}: ${text.slice(-2000)}`)));
    });
}

async function freePort() {
    const server = createServer();
    await new Promise((done) => server.listen(0, '127.0.0.1', done));
    const { port } = server.address();
    await new Promise((done) => server.close(done));
    return port;
}

/** Asks again until it is so. */
export async function until(what, isSo, seconds = 30) {
    const end = Date.now() + seconds * 1000;
    for (;;) {
        const found = await isSo();
        if (found) return found;
        if (Date.now() > end) throw new Error(`not within ${seconds} s: ${what}`);
        await sleep(100);
    }
}

export class Lab {
    static async open({ bin, world }) {
        const lab = new Lab();
        lab.bin = bin;
        lab.folder = mkdtempSync(join(tmpdir(), 'lockkeeper-browser-'));
        lab.world = spawn(world, ['--listen', '127.0.0.1:0', '--account', ACCOUNT, '--speed', '1', '--no-throttle', '--allow-aws-sources']);
        lab.endpoint = await started(lab.world, /http:\/\/127[^\s]+/);
        lab.port = await freePort();
        lab.base = `http://127.0.0.1:${lab.port}`;
        await lab.build();
        await lab.start();
        lab.browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: FLAGS });
        return lab;
    }

    async close() {
        await this.browser?.close();
        await this.stop();
        this.world.kill('SIGTERM');
        rmSync(this.folder, { recursive: true, force: true });
    }

    async aws(service, operation, body) {
        const answer = await fetch(this.endpoint, {
            method: 'POST',
            headers: {
                'x-amz-target': `${PREFIX[service]}.${operation}`,
                'content-type': 'application/x-amz-json-1.1',
                authorization: `AWS4-HMAC-SHA256 Credential=${ACCOUNT}/20260101/${REGION}/${service}/aws4_request, SignedHeaders=host, Signature=x`,
            },
            body: JSON.stringify(body),
        });
        const text = await answer.text();
        if (!answer.ok) throw new Error(`${operation}: ${text}`);
        return text === '' ? {} : JSON.parse(text);
    }

    async build() {
        await this.aws('sqs', 'CreateQueue', { QueueName: 'dead' });
        const redrive = { deadLetterTargetArn: `arn:aws:sqs:${REGION}:${ACCOUNT}:dead`, maxReceiveCount: 100 };
        const queue = { QueueName: 'events', Attributes: { RedrivePolicy: JSON.stringify(redrive) } };
        this.queue = (await this.aws('sqs', 'CreateQueue', queue)).QueueUrl;
        await this.aws('ecs', 'CreateCluster', { clusterName: CLUSTER });
        for (const name of SERVICES) await this.service(name);
        const services = SERVICES.map((name) => `shop-${name}`);
        await until('the services are complete', async () => {
            const answer = await this.aws('ecs', 'DescribeServices', { cluster: CLUSTER, services });
            return answer.services.every((it) => it.deployments[0].rolloutState === 'COMPLETED');
        });
    }

    async service(name) {
        await this.push(name, 'v1');
        const image = `${ACCOUNT}.dkr.ecr.${REGION}.amazonaws.com/shop/${name}:v1`;
        await this.aws('ecs', 'RegisterTaskDefinition', {
            family: `shop-${name}`,
            containerDefinitions: [{
                name, image, essential: true, cpu: 256,
                environment: [{ name: 'PASSWORD', value: 'hunter2' }],
                secrets: [{ name: 'KEY', valueFrom: `/prod/shop/${name}/KEY` }],
                logConfiguration: { logDriver: 'awslogs', options: { 'awslogs-group': '/ecs/shop', 'awslogs-stream-prefix': 'ecs' } },
            }],
        });
        await this.aws('ecs', 'CreateService', {
            cluster: CLUSTER, serviceName: `shop-${name}`, taskDefinition: `shop-${name}`, desiredCount: 2,
            deploymentConfiguration: { deploymentCircuitBreaker: { enable: true, rollback: true } },
        });
    }

    async push(name, tag) {
        await fetch(`${this.endpoint}/_sim/push`, {
            method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ repository: `shop/${name}`, tags: [tag] }),
        });
    }

    /** Somebody asks for an image with this tag. */
    async deploy(name, tag, reason = `${tag} is wanted`) {
        await this.push(name, tag);
        const event = {
            version: '0', id: crypto.randomUUID(), 'detail-type': 'Deploy', source: 'action.deploy', account: ACCOUNT,
            time: `${new Date().toISOString().slice(0, 19)}Z`, region: REGION, resources: [], detail: { service: name, tag, reason },
        };
        await this.aws('sqs', 'SendMessage', { QueueUrl: this.queue, MessageBody: JSON.stringify(event) });
    }

    async start() {
        const targets = SERVICES.map((name) => `
[[target]]
name = "${name}"
cluster = "${CLUSTER}"
service = "shop-${name}"
repositories = ["shop/${name}"]
on_push = "pin"
tags = "glob:*"
`);
        const settings = join(this.folder, 'settings.toml');
        writeFileSync(settings, `
[engine]
start_delay = "0s"
[queue]
url = "${this.queue}"
[http]
listen = "127.0.0.1:${this.port}"
reads = "${this.reads ?? 'open'}"
[[http.tokens]]
name = "ann"
role = "operate"
env = "TOKEN_OF_ANN"
[[http.tokens]]
name = "screen"
role = "read"
env = "TOKEN_OF_A_SCREEN"
[defaults]
quiet = "1s"
retries = 0
[reconcile]
mode = "off"
${targets.join('')}`);
        const env = {
            PATH: process.env.PATH, HOME: this.folder, AWS_ACCESS_KEY_ID: ACCOUNT, AWS_SECRET_ACCESS_KEY: 'x', AWS_REGION: REGION,
            AWS_ENDPOINT_URL: this.endpoint, TOKEN_OF_ANN: OPERATOR, TOKEN_OF_A_SCREEN: READER, ...this.env,
        };
        this.daemon = spawn(this.bin, ['run', '--config', settings], { env, cwd: this.folder });
        await started(this.daemon, /receiving/);
        await until('it is ready', async () => (await fetch(`${this.base}/readyz`).catch(() => ({}))).ok);
    }

    async stop() {
        if (!this.daemon || this.daemon.exitCode !== null) return;
        const ended = new Promise((done) => this.daemon.on('exit', done));
        this.daemon.kill('SIGTERM');
        await ended;
    }

    async get(path) {
        return (await fetch(`${this.base}${path}`)).json();
    }

    /** The newest deployment of this target that ended so. */
    async ended(name, outcome, seconds = 60) {
        return until(`${name} ${outcome}`, async () => {
            const { items } = await this.get(`/api/v1/deployments?target=${name}&outcome=${outcome}`);
            return items[0];
        }, seconds);
    }

    /** A page of its own, which notes whatever a browser complains about. */
    async page(options = {}) {
        const context = await this.browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
        const page = await context.newPage();
        page.complaints = [];
        page.on('console', (message) => {
            if (['error', 'warning'].includes(message.type())) page.complaints.push(message.text());
        });
        page.on('pageerror', (error) => page.complaints.push(String(error)));
        return page;
    }
}

/** Keeps a picture where somebody wants to look at them. */
export async function picture(page, name, options = { fullPage: true }) {
    const folder = process.env.PICTURES;
    if (!folder) return;
    if (!existsSync(folder)) mkdirSync(folder, { recursive: true });
    await page.screenshot({ path: join(folder, `${name}.png`), ...options });
}

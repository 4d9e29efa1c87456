/* The timeline and the stepping. Everything else on the page stands without this file. */
(async()=>{
'use strict';
const root=document.documentElement;
/* ---- copying, stepping: they need no data ---- */
$$('[data-copy]').forEach(b=>b.onclick=async()=>{const e=$('#'+b.dataset.copy);try{await navigator.clipboard.writeText(e.textContent)}catch{const r=document.createRange();r.selectNodeContents(e);getSelection().removeAllRanges();getSelection().addRange(r);document.execCommand('copy')}b.textContent='Copied';setTimeout(()=>b.textContent='Copy',1400)});
const steps=$$('#steps>li');let stepN=steps.length-1;
function step(n){if(!steps.length)return;stepN=clamp(n,0,steps.length-1);$('#steps').classList.add('one');steps.forEach((l,i)=>l.classList.toggle('on',i===stepN));
 $('#stepn').textContent=`step ${stepN+1} of ${steps.length}`;$('#prev').disabled=!stepN;$('#next').disabled=stepN===steps.length-1;
 const last=stepN===steps.length-1,place=last?Infinity:+steps[stepN].dataset.place,base=+steps[0].dataset.place||1;
 $$('.ce [class*=" s"]').forEach(e=>{const m=/(?:^| )s(\d+)/.exec(e.getAttribute('class'));if(m)e.classList.toggle('off',+m[1]>place)});
 $$('.tree .best').forEach(e=>{const m=/ n(\d+)/.exec(e.getAttribute('class'));if(m)e.classList.toggle('off',+m[1]>place-base+1)});
 $$('.tree .tn.best').forEach(e=>e.classList.toggle('cur',!last&&e.classList.contains('n'+(place-base+1))))}
if(steps.length){$('#prev').onclick=()=>step(stepN-1);$('#next').onclick=()=>step(stepN+1);
 $('#cefig').addEventListener('keydown',e=>{if(e.key==='ArrowLeft'||e.key==='ArrowRight'){e.preventDefault();e.stopPropagation();step(stepN+(e.key==='ArrowLeft'?-1:1))}});step(stepN)}

/* ---- columns: base64, gzip, varints ---- */
const text=$('#columns').textContent.trim();
const packed=Uint8Array.from(atob(text),c=>c.charCodeAt(0));
const buf=new Uint8Array(await new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream('gzip'))).arrayBuffer());
const dv=new DataView(buf.buffer),hl=dv.getUint32(0,true),H=JSON.parse(new TextDecoder().decode(buf.subarray(4,4+hl))),M=H.more,N=H.n,U=H.unit;
const col={};{let at=4+hl;for(const c of H.columns){const n=dv.getUint32(at,true);col[c]={i:at+4};at+=4+n}}
function num(c){let n=0,m=1,b;do{b=buf[c.i++];n+=(b&127)*m;m*=128}while(b&128);return n}
const OUT=['ok','info','fail'],TIMED=H.timed,NODES=H.nodes,END=Math.max(H.end,1e-6);
const inv=new Float64Array(N),comp=new Float64Array(N),P=new Int32Array(N),F=new Uint8Array(N),K=new Int32Array(N),ND=new Int16Array(N),O=new Uint8Array(N),FL=new Uint8Array(N),ID=new Int32Array(N),A=new Array(N),A2=new Array(N),R=new Array(N);
{const near=new Map(),bound=new Map();let t=0,id=0;
 const val=(c,k)=>{const x=num(c);if(!x)return null;if(x===1)return H.strings[num(c)];const z=x-2,v=(near.get(k)||0)+(z%2?-(z+1)/2:z/2);near.set(k,v);return v};
 for(let i=0;i<N;i++){t+=num(col.at);inv[i]=t*U;const k=num(col.took);comp[i]=k?(t+k-1)*U:END;P[i]=num(col.process);F[i]=num(col.f);K[i]=num(col.key);const n=num(col.node);if(n)bound.set(P[i],n-1);ND[i]=(bound.get(P[i])||0)-1;const o=num(col.out);O[i]=o&3;FL[i]=o>>2;A[i]=val(col.arg,K[i]);A2[i]=val(col.arg2,K[i]);R[i]=val(col.reply,K[i]);id=H.ids.length?id+H.ids[i]:i;ID[i]=id}}
const index=id=>{let lo=0,hi=N-1;while(lo<=hi){const m=lo+hi>>1;if(ID[m]===id)return m;ID[m]<id?lo=m+1:hi=m-1}return-1};
const MARKS=new Map(Object.entries(M.marks).map(([k,v])=>[index(+k),v]).filter(e=>e[0]>=0)),BAD=[...MARKS.keys()].sort((a,b)=>a-b),CORE=new Map(Object.entries(M.core).map(([k,v])=>[index(+k),v]));
const READS=new Set(['read','dequeue']),ISREAD=H.functions.map(f=>READS.has(f));
/* ---- lanes: a client is its process modulo the concurrency; lanes of a node stand together ---- */
const lane=new Int32Array(N),LANES=[];{const at=new Map();for(let i=0;i<N;i++){const c=M.concurrency>0?P[i]%M.concurrency:P[i],k=ND[i]+':'+c;let l=at.get(k);if(l==null){l=LANES.length;at.set(k,l);LANES.push({node:ND[i],c,ops:[]})}LANES[l].ops.push(i)}
 LANES.sort((a,b)=>(a.node<0)-(b.node<0)||a.node-b.node||a.c-b.c);LANES.forEach((l,j)=>l.ops.forEach(i=>lane[i]=j))}
const GAPS=LANES.map((l,i)=>i&&l.node!==LANES[i-1].node?1:0);
const TOP=44,LH=clamp(Math.floor(440/Math.max(1,LANES.length)),4,22),NG=LH>9?8:4;let acc=TOP;const LY=LANES.map((l,i)=>{acc+=GAPS[i]*NG;const y=acc;acc+=LH;return y}),BOT=acc+6;
const tl=$('#tl'),ov=$('#ov');tl.style.height=BOT+26+'px';
let GL=88,GR=64;const geo=()=>{const p=$$('.plots .plot').find(e=>e.clientWidth),w=p?p.clientWidth:0,vb=p?p.viewBox.baseVal.width:1,s=w/vb||1;const small=innerWidth<=640;GL=(small?34:88)*s;GR=(small?8:64)*s};
const name=n=>n<0?'outside':NODES[n];
const key=i=>H.keys[K[i]],ms=i=>(comp[i]-inv[i])*1e3;
const call=i=>{const f=H.functions[F[i]];return f==='cas'&&A[i]!=null?`cas ${A[i]} → ${A2[i]}`:A[i]==null?f:`${f} ${A[i]}`};
const reply=i=>FL[i]&2?'mismatch':R[i]!=null?String(R[i]):O[i]===0?(ISREAD[F[i]]?(H.values?'nil':'?'):'ok'):O[i]===1?'no answer':'failed';
const during=t=>M.strikes.filter(s=>s.took&&t>=s.a&&t<s.b);
const glyph=o=>o==='ok'?'<svg width="11" height="11" aria-hidden="true"><rect x="1" y="2" width="9" height="7" rx="1" fill="var(--ok)"/></svg>':o==='info'?'<svg width="11" height="11" aria-hidden="true"><path d="M9 2H1.6v7H9" fill="none" stroke="var(--info)" stroke-width="1.6"/><path d="M5 5.5h5" stroke="var(--info)" stroke-width="1.6"/></svg>':'<svg width="11" height="11" aria-hidden="true"><path d="M2 2l7 7M9 2l-7 7" stroke="var(--fail)" stroke-width="1.5"/></svg>';
/* ---- state, in location.hash ---- */
const MIN=Math.max(END/1e6,2e-5),st={a:0,b:END,off:new Set(),foff:new Set(),q:'',sel:-1,hov:-1};
function readHash(){const h=new URLSearchParams(location.hash.slice(1));const t=/^([\d.]+)-([\d.]+)$/.exec(h.get('t')||'');if(t&&+t[2]>+t[1])[st.a,st.b]=[+t[1],+t[2]];else[st.a,st.b]=M.view;
 const hide=(h.get('hide')||'').split(',');st.off=new Set(hide.filter(x=>OUT.includes(x)));st.foff=new Set(hide.filter(x=>H.functions.includes(x)));st.q=h.get('q')||'';st.sel=h.get('op')?index(+h.get('op')):-1;
 if(st.sel>=0&&!t){const w=Math.max(TIMED?.2:20,ms(st.sel)/400);st.a=inv[st.sel]-w;st.b=inv[st.sel]+w}const z=clamp(st.b-st.a,MIN,END);st.a=clamp(st.a,0,END-z);st.b=st.a+z}
let hashT;function writeHash(){clearTimeout(hashT);hashT=setTimeout(()=>{const h=new URLSearchParams();h.set('t',st.a.toFixed(4)+'-'+st.b.toFixed(4));const o=[...st.off,...st.foff];if(o.length)h.set('hide',o.join(','));if(st.q)h.set('q',st.q);if(st.sel>=0)h.set('op',ID[st.sel]);history.replaceState(null,'','#'+h.toString().replace(/%3A/g,':').replace(/%2C/g,','))},180)}
let pred=()=>true;
function mkPred(){const ts=st.q.trim().split(/\s+/).filter(Boolean).map(t=>{const m=/^(key|f|p|process|n|node|value|op|out|outcome|during|is):(.+)$/.exec(t);if(!m){const l=t.toLowerCase();return i=>(call(i)+' '+reply(i)+' '+key(i)+' '+name(ND[i])).toLowerCase().includes(l)}
  const v=m[2];return{key:i=>key(i)===v,f:i=>H.functions[F[i]]===v,p:i=>'p'+P[i]===v||String(P[i])===v,n:i=>name(ND[i])===v,value:i=>[A[i],A2[i],R[i]].some(x=>x!=null&&String(x)===v),op:i=>String(ID[i])===v,out:i=>OUT[O[i]]===v,is:i=>v==='anomaly'?MARKS.has(i):v==='core'?CORE.has(i):v==='final'?!!(FL[i]&1):false,during:i=>during(inv[i]).some(s=>s.kind===v||s.id==v)}[{process:'p',node:'n',outcome:'out'}[m[1]]||m[1]]});
 pred=i=>!st.off.has(OUT[O[i]])&&!st.foff.has(H.functions[F[i]])&&ts.every(f=>f(i))}
/* ---- drawing ---- */
const probe=document.createElement('i');probe.style.display='none';document.body.append(probe);
const css=v=>{probe.style.color=`var(--${v})`;return getComputedStyle(probe).color};
const FONT=getComputedStyle(document.body).fontFamily;let C={};
function colours(){for(const k of['ok','info','fail','fault','ink','ink2','ink3','line','rule','paper','sink','wash'])C[k]=css(k);C.pat={}}
function tex(ctx,k){if(C.pat[k])return C.pat[k];const s=k==='partition'?6:k==='kill'?4:5,c=document.createElement('canvas');c.width=c.height=s*2;const g=c.getContext('2d');g.scale(2,2);g.fillStyle=g.strokeStyle=C.fault;if(k==='partition'){g.lineWidth=1.4;g.beginPath();for(const d of[-s,0,s]){g.moveTo(d-1,s+1);g.lineTo(d+s+1,-1)}g.stroke()}else if(k==='pause')g.fillRect(0,0,1.7,s);else if(k==='kill')g.fillRect(0,0,s,s);else{g.beginPath();g.arc(1.6,1.6,1.05,0,7);g.fill()}
 const p=ctx.createPattern(c,'repeat');p.setTransform(new DOMMatrix().scale(.5));return C.pat[k]=p}
function fit(cv){const d=devicePixelRatio||1,w=cv.clientWidth,h=cv.clientHeight;if(cv.width!==Math.round(w*d)||cv.height!==Math.round(h*d)){cv.width=Math.round(w*d);cv.height=Math.round(h*d)}const g=cv.getContext('2d');g.setTransform(d,0,0,d,0,0);g.clearRect(0,0,w,h);g.font='11px '+FONT;g.textBaseline='middle';return[g,w,h]}
const nice=r=>{const e=Math.pow(10,Math.floor(Math.log10(r))),m=r/e;return e*(m<=1?1:m<=2?2:m<=5?5:10)};
/* strikes that overlap in time get rows of their own, two at most */
const ROW=[];{const end=[-1,-1];for(const s of M.strikes){const r=s.a>=end[0]?0:1;ROW.push(r);end[r]=Math.max(end[r],s.b)}}
let lastDraw=0;
function drawTL(){const t0=performance.now(),[g,w]=fit(tl),L=GL,W=w-GL-GR,{a,b}=st,px=W/(b-a),X=t=>L+(t-a)*px;
 g.save();g.beginPath();g.rect(L,0,W,BOT+30);g.clip();
 M.strikes.forEach((s,k)=>{const x1=X(s.a),x2=Math.max(X(s.b),x1+1);if(x2<L||x1>L+W)return;const y=8+ROW[k]*17;
  if(s.took){g.fillStyle=C.wash;LANES.forEach((l,i)=>{if(s.touched.includes(l.node))g.fillRect(x1,LY[i]-(GAPS[i]?NG/2:0),x2-x1,LH+(GAPS[i]?NG/2:0)+(GAPS[i+1]?NG/2:0))});
   g.fillStyle=tex(g,s.kind);g.fillRect(x1,y,x2-x1,7);
   if(s.kind==='partition')LANES.forEach((l,i)=>{const m=LANES[i+1];if(m&&m.node!==l.node&&s.touched.includes(l.node)!==s.touched.includes(m.node)){g.fillStyle=tex(g,'partition');g.fillRect(x1,LY[i]+LH+NG/2-2.5,x2-x1,5)}})}
  else{g.strokeStyle=C.fault;g.setLineDash([3,2]);g.strokeRect(x1+.5,y+.5,Math.max(2,x2-x1-1),6);g.setLineDash([])}
  g.font='10.5px '+FONT;const next=M.strikes.find((o,j)=>j>k&&ROW[j]===ROW[k]),room=(next?Math.min(X(next.a),L+W):L+W)-Math.max(x1,L);
  const t=[`${s.id} ${s.kind} ${s.to}${s.took?'':', no effect'}`,`${s.id} ${s.kind}`,`${s.id}`].find(t=>g.measureText(t).width+8<room);if(!t)return;const lx=Math.max(x1,L);g.fillStyle=C.paper;g.fillRect(lx-1,y-2,g.measureText(t).width+6,11);g.fillStyle=C.fault;g.fillText(t,lx,y+4)});
 const ticks=[],sp=nice((b-a)/Math.max(3,W/110)),dg=Math.max(0,Math.min(6,-Math.floor(Math.log10(sp)+1e-9)));g.strokeStyle=C.line;g.lineWidth=1;
 for(let t=Math.ceil(a/sp)*sp;t<=b+1e-9;t+=sp){const x=Math.round(X(t))+.5;g.beginPath();g.moveTo(x,TOP-4);g.lineTo(x,BOT);g.stroke();ticks.push([t.toFixed(dg),x])}
 const lastOf={};for(let j=0;j<M.roles.length;j++){const[n,t,r,term]=M.roles[j];if(lastOf[n])leadLine(n,lastOf[n],t);lastOf[n]=/leader|primary|master/.test(r)?[t,term]:null}for(const n in lastOf)if(lastOf[n])leadLine(+n,lastOf[n],END);
 function leadLine(n,[f],t){const i=LANES.findLastIndex(l=>l.node===n);if(i<0)return;g.strokeStyle=C.ink2;g.lineWidth=2;g.beginPath();g.moveTo(X(f),LY[i]+LH+1);g.lineTo(X(t),LY[i]+LH+1);g.stroke()}
 let shown=0,tot=0;const late=[];const filtered=st.q||st.off.size||st.foff.size;
 LANES.forEach((l,k)=>{const ops=l.ops,mid=LY[k]+LH/2;let lo=0,hi=ops.length;while(lo<hi){const m=lo+hi>>1;comp[ops[m]]<a?lo=m+1:hi=m}
  /* a pixel already filled by an ok op of this lane is not filled again: that keeps a million ops drawable */
  let fullR=-1,fullW=-1;
  for(let j=lo;j<ops.length&&inv[ops[j]]<=b;j++){const i=ops[j];tot++;const on=!filtered||pred(i);if(on)shown++;if(O[i]!==0||MARKS.has(i)){late.push([i,mid,on]);continue}
   if(on){const x2=X(comp[i]);if(ISREAD[F[i]]){if(x2<=fullR+.5)continue;fullR=Math.max(x2,X(inv[i])+1)}else{if(x2<=fullW+.5)continue;fullW=Math.max(x2,X(inv[i])+1)}}
   bar(i,mid,on)}});
 late.forEach(r=>bar(...r));
 function bar(i,mid,on){const x=X(inv[i]),wd=Math.max((comp[i]-inv[i])*px,1.4),hh=Math.max(2,(ISREAD[F[i]]?9:16)*LH/22),y=mid-hh/2,bad=MARKS.has(i);g.globalAlpha=on?1:.1;
  if(O[i]===0){g.fillStyle=bad?C.ink:C.ok;if(!bad&&wd<3)g.globalAlpha=on?.8:.08;g.fillRect(x,y,wd,hh);
   if(wd>46&&LH>14){g.fillStyle=C.paper;g.save();g.beginPath();g.rect(x,y,wd,hh);g.clip();g.font=(ISREAD[F[i]]?'9px ':'11px ')+FONT;g.fillText(ISREAD[F[i]]?reply(i):call(i),Math.max(x,L)+4,mid+.5);g.restore()}}
  else if(O[i]===1){g.fillStyle=C.paper;g.fillRect(x,y,wd,hh);g.strokeStyle=bad?C.ink:C.info;g.lineWidth=1.5;g.beginPath();g.moveTo(x+wd,y+.7);g.lineTo(x+.7,y+.7);g.lineTo(x+.7,y+hh-.7);g.lineTo(x+wd,y+hh-.7);g.stroke();if(LH>9){g.beginPath();g.moveTo(x+wd-5,mid);g.lineTo(x+wd+6,mid);g.moveTo(x+wd+3,mid-3);g.lineTo(x+wd+6,mid);g.lineTo(x+wd+3,mid+3);g.stroke()}
   if(x+wd-Math.max(x,L)>74&&LH>14){g.font='11px '+FONT;g.fillStyle=C.info;g.save();g.beginPath();g.rect(x,y,wd,hh);g.clip();g.fillText(`${key(i)} ${call(i)}`,Math.max(x,L)+6,mid+.5);g.restore()}}
  else{const r=Math.min(3.5,LH/3);g.strokeStyle=bad?C.ink:C.fail;g.lineWidth=1.3;g.beginPath();g.moveTo(x-r,mid-r);g.lineTo(x+r,mid+r);g.moveTo(x+r,mid-r);g.lineTo(x-r,mid+r);g.stroke()}
  if(bad&&!CORE.has(i)){g.globalAlpha=on?1:.2;g.fillStyle=C.ink;g.beginPath();g.moveTo(x+wd/2,mid-10.5);g.lineTo(x+wd/2+4,mid-6);g.lineTo(x+wd/2,mid-1.5);g.lineTo(x+wd/2-4,mid-6);g.fill()}
  g.globalAlpha=1}
 for(const i of new Set([st.sel,st.hov]))if(i>=0){const x=X(inv[i]);g.strokeStyle=C.ink;g.lineWidth=1.5;g.strokeRect(x-3,LY[lane[i]]-1,Math.max((comp[i]-inv[i])*px,1.4)+6,LH+2)}
 for(const[i,n]of CORE){if(comp[i]<a||inv[i]>b)continue;const x=(X(Math.max(inv[i],a))+X(Math.min(comp[i],b)))/2,y=LY[lane[i]]-1;g.fillStyle=C.paper;g.beginPath();g.arc(x,y,8,0,7);g.fill();g.fillStyle=C.ink;g.beginPath();g.arc(x,y,6.8,0,7);g.fill();g.fillStyle=C.paper;g.textAlign='center';g.font='650 9px '+FONT;g.fillText(n,x,y+.5);g.textAlign='left'}
 g.restore();g.textAlign='center';g.fillStyle=C.ink3;g.font='10.5px '+FONT;ticks.forEach(([t,x],j)=>g.fillText(t+(TIMED&&j===ticks.length-1?' s':''),x,BOT+11));
 LANES.forEach((l,i)=>{if(i&&LANES[i-1].node===l.node)return;let j=i;while(LANES[j+1]&&LANES[j+1].node===l.node)j++;g.textAlign='left';g.fillStyle=C.ink;g.font='600 '+(LH>9?12:10)+'px '+FONT;const small=GL<60;let nm=name(l.node);while(nm.length>2&&g.measureText(nm).width>GL-(small?4:36))nm=nm.slice(0,-2)+'…';g.fillText(nm,0,(LY[i]+LY[j]+LH)/2)});
 if(GL>50&&LH>10){g.font='11px '+FONT;g.fillStyle=C.ink3;g.textAlign='right';LANES.forEach((l,i)=>g.fillText('p'+l.c,GL-10,LY[i]+LH/2))}
 g.textAlign='left';const seen=BAD.filter(i=>inv[i]>=a&&inv[i]<=b).length;
 $('#tlst').textContent=`${TIMED?`${a.toFixed(3)} to ${b.toFixed(3)} s`:`events ${a|0} to ${b|0} in their order; the record has no times`}: ${fmt(tot)} ops${shown<tot?`, ${fmt(shown)} match`:''}${seen?`, ${fmt(seen)} anomal${seen>1?'ies':'y'}`:''}${N<H.all?`; of ${fmt(H.all)} ops, ${fmt(N)} are on this page: all but some ok ones`:''}`;
 tl.dataset.shown=shown;tl.dataset.total=tot;lastDraw=performance.now()-t0;tl.dataset.ms=lastDraw.toFixed(1)}
const NB=100,BINS=OUT.map(()=>new Float64Array(NB));for(let i=0;i<N;i++)BINS[O[i]][Math.min(NB-1,inv[i]/END*NB|0)]++;
function drawOV(){const[g,w,h]=fit(ov),L=GL,W=w-GL-GR,X=t=>L+t/END*W,mx=Math.max(1,...BINS[0]),bw=W/NB;
 M.strikes.forEach(s=>{if(s.took){g.fillStyle=C.wash;g.fillRect(X(s.a),0,X(s.b)-X(s.a),h);g.fillStyle=tex(g,s.kind);g.fillRect(X(s.a),4,Math.max(1,X(s.b)-X(s.a)),4)}else{g.strokeStyle=C.fault;g.setLineDash([3,2]);g.strokeRect(X(s.a)+.5,4.5,Math.max(2,X(s.b)-X(s.a)-1),3);g.setLineDash([])}});
 for(let i=0;i<NB;i++){const y=BINS[0][i]/mx*28;g.fillStyle=C.ok;g.globalAlpha=.45;g.fillRect(L+i*bw,h-2-y,bw-.6,y);g.globalAlpha=1;const k=Math.min(10,BINS[1][i]*3),f=Math.min(8,BINS[2][i]);if(k){g.fillStyle=C.info;g.fillRect(L+i*bw,h-4-y-k,bw-.6,k)}if(f){g.fillStyle=C.fail;g.fillRect(L+i*bw,h-4-y-k-f,bw-.6,f)}}
 g.fillStyle=C.ink;BAD.forEach(i=>{g.fillRect(X(inv[i]),h-2,1.2,2);g.fillRect(X(inv[i])-.3,11,1.2,5)});
 const x1=X(st.a),x2=X(st.b);g.fillStyle=C.paper;g.globalAlpha=.62;g.fillRect(L,0,x1-L,h);g.fillRect(x2,0,L+W-x2,h);g.globalAlpha=1;g.strokeStyle=C.ink2;g.lineWidth=1;g.strokeRect(x1+.5,.5,Math.max(2,x2-x1-1),h-1);g.fillStyle=C.ink2;for(const x of[x1,x2])g.fillRect(x-1.5,h/2-8,3,16);
 if(GL>50){g.fillStyle=C.ink3;g.font='11px '+FONT;g.fillText('whole run',0,h/2)}}
let twT;function table(){clearTimeout(twT);twT=setTimeout(()=>{const r=[];let n=0;for(let i=0;i<N;i++){if(inv[i]>st.b)break;if(comp[i]<st.a||!pred(i))continue;if(++n<=250)r.push(i)}
 $('#tw').innerHTML=r.map(i=>`<tr data-i="${i}" class="${MARKS.has(i)?'bad ':''}${i===st.sel?'sel':''}"><td class="r">${ID[i]}</td><td class="r">${TIMED?inv[i].toFixed(4):inv[i]}</td><td>p${P[i]}</td><td>${esc(name(ND[i]))}</td><td>${esc(call(i))} <span class="dim">${esc(key(i))}</span></td><td>${esc(reply(i))}${MARKS.has(i)?' <b>'+esc(MARKS.get(i))+'</b>':''}</td><td><span class="oc">${glyph(OUT[O[i]])}${OUT[O[i]]}</span></td><td class="r">${O[i]===1?'open':TIMED?ms(i).toFixed(2):comp[i]}</td><td class="dim">${during(inv[i]).map(s=>s.id+' '+s.kind).join(', ')}</td></tr>`).join('')+(n>250?`<tr><td colspan="9" class="dim">${fmt(n-250)} more in this window. Zoom in, or filter, to list them.</td></tr>`:n?'':'<tr><td colspan="9" class="dim">No op matches in this window.</td></tr>');$('#twin').dataset.rows=Math.min(n,250)},60)}
let raf;function draw(t=true){cancelAnimationFrame(raf);raf=requestAnimationFrame(()=>{drawTL();drawOV()});if(t){table();writeHash()}}
function view(a,b){const s=clamp(b-a,MIN,END);a=clamp(a,0,END-s);st.a=a;st.b=a+s;draw()}
function zoom(f,t=(st.a+st.b)/2){view(t-(t-st.a)*f,t+(st.b-t)*f)}
function focusOp(id,scroll){const i=index(id);if(i<0)return;st.sel=i;const w=TIMED?Math.max(.06,Math.min(2,(comp[i]-inv[i])*1.2)):Math.max(8,Math.min(200,(comp[i]-inv[i])*1.2));view(inv[i]-w,inv[i]+w);if(scroll){$('#timeline').scrollIntoView();tl.focus({preventScroll:true})}}
function nextBad(d=1){const t=MARKS.has(st.sel)?st.sel:-1,l=BAD.filter(pred);const i=d>0?l.find(i=>i>t)??l[0]:[...l].reverse().find(i=>i<t)??l.at(-1);if(i!=null){st.sel=i;const w=Math.min(st.b-st.a,TIMED?.5:40);view(inv[i]-w/2,inv[i]+w/2)}}
function hit(x,y){const W=tl.clientWidth-GL-GR,px=W/(st.b-st.a),t=st.a+(x-GL)/px;let best=-1,bd=7;LANES.forEach((l,k)=>{if(y<LY[k]||y>LY[k]+LH)return;let lo=0,hi=l.ops.length;while(lo<hi){const m=lo+hi>>1;comp[l.ops[m]]<t-7/px?lo=m+1:hi=m}for(let j=lo;j<l.ops.length;j++){const i=l.ops[j];if(inv[i]>t+7/px)break;if(comp[i]<t-7/px||!pred(i))continue;const d=t<inv[i]?(inv[i]-t)*px:t>comp[i]?(t-comp[i])*px:0;if(d<bd||(d===bd&&MARKS.has(i))){bd=d;best=i}}});return best}
const tip=document.createElement('div');tip.className='tip';tip.setAttribute('role','status');document.body.append(tip);
function showTip(h,x,y){tip.innerHTML=h;const w=tip.offsetWidth,k=tip.offsetHeight;tip.style.left=clamp(x+14>innerWidth-w-8?x-w-14:x+14,8,Math.max(8,innerWidth-w-8))+'px';tip.style.top=clamp(y+16>innerHeight-k-8?y-k-12:y+16,8,innerHeight-k-8)+'px';tip.style.visibility='visible'}
const hideTip=()=>tip.style.visibility='hidden';
const opTip=i=>`<b>op ${ID[i]}</b> <span class="dim">p${P[i]} at ${esc(name(ND[i]))}</span><br>${esc(call(i))} <span class="dim">${esc(key(i))}</span> → ${esc(reply(i))}${MARKS.has(i)?' <b>'+esc(MARKS.get(i))+'</b>':''}<br>${TIMED?inv[i].toFixed(6)+' s':'event '+inv[i]}, ${O[i]===1?'open':TIMED?ms(i).toFixed(2)+' ms':'to '+comp[i]}, ${OUT[O[i]]}${during(inv[i]).length?'<br><span class="dim">during '+during(inv[i]).map(s=>`strike ${s.id}, ${s.kind}`).join('; ')+'</span>':''}`;
/* ---- input ---- */
let drag=null,armed=false;
tl.onpointerdown=e=>{drag={x:e.clientX,a:st.a,b:st.b,m:false};try{tl.setPointerCapture(e.pointerId)}catch{}armed=true};
tl.onpointermove=e=>{const r=tl.getBoundingClientRect(),W=r.width-GL-GR;if(drag){const dt=(drag.x-e.clientX)/W*(drag.b-drag.a);if(Math.abs(drag.x-e.clientX)>3)drag.m=true;if(drag.m)view(drag.a+dt,drag.b+dt);return}
 st.hov=hit(e.clientX-r.left,e.clientY-r.top);st.hov>=0?showTip(opTip(st.hov),e.clientX,e.clientY):hideTip();draw(false)};
tl.onpointerup=e=>{if(drag&&!drag.m){const r=tl.getBoundingClientRect();st.sel=hit(e.clientX-r.left,e.clientY-r.top);draw()}drag=null};
tl.onpointercancel=()=>drag=null;tl.onpointerleave=()=>{st.hov=-1;hideTip();draw(false)};tl.onblur=()=>armed=false;
tl.addEventListener('wheel',e=>{const r=tl.getBoundingClientRect(),W=r.width-GL-GR,t=st.a+(e.clientX-r.left-GL)/W*(st.b-st.a);if(Math.abs(e.deltaX)>Math.abs(e.deltaY)){e.preventDefault();const d=e.deltaX/W*(st.b-st.a);view(st.a+d,st.b+d)}else if(armed||e.ctrlKey||e.metaKey){e.preventDefault();zoom(Math.exp(e.deltaY*.0016),t)}},{passive:false});
tl.ondblclick=e=>{const r=tl.getBoundingClientRect(),t=st.a+(e.clientX-r.left-GL)/(r.width-GL-GR)*(st.b-st.a);zoom(.3,t)};
let od=null;const ovT=e=>{const r=ov.getBoundingClientRect(),W=r.width-GL-GR;return[clamp((e.clientX-r.left-GL)/W*END,0,END),7/W*END]};
ov.onpointerdown=e=>{const[t,tol]=ovT(e);od=Math.abs(t-st.a)<tol?'a':Math.abs(t-st.b)<tol?'b':t>st.a&&t<st.b&&st.b-st.a<END*.95?{o:t-st.a}:{n:t};try{ov.setPointerCapture(e.pointerId)}catch{}};
ov.onpointermove=e=>{if(!od)return;const[t,tol]=ovT(e);if(od==='a')view(Math.min(t,st.b-MIN),st.b);else if(od==='b')view(st.a,Math.max(t,st.a+MIN));else if(od.o!=null){const s=st.b-st.a;view(t-od.o,t-od.o+s)}else if(Math.abs(t-od.n)>tol)view(Math.min(t,od.n),Math.max(t,od.n))};
ov.onpointerup=e=>{if(od&&od.n!=null){const[t,tol]=ovT(e);if(Math.abs(t-od.n)<=tol){const s=st.b-st.a;view(t-s/2,t+s/2)}}od=null};
$('#tw').onclick=e=>{const r=e.target.closest('tr[data-i]');if(r){st.sel=+r.dataset.i;draw()}};
$('#tw').onpointerover=e=>{const r=e.target.closest('tr[data-i]');st.hov=r?+r.dataset.i:-1;draw(false)};
addEventListener('keydown',e=>{const inp=/INPUT|SELECT|TEXTAREA/.test(e.target.tagName);if(e.key==='Escape'&&inp){e.target.blur();tl.focus();return}if(inp||e.ctrlKey||e.metaKey||e.altKey)return;
 if(e.key==='/'){e.preventDefault();$('#q').focus();$('#q').scrollIntoView({block:'nearest'})}else if(e.key==='n'||e.key==='N'){nextBad(e.shiftKey?-1:1);const r=tl.getBoundingClientRect();if(r.top<60||r.bottom>innerHeight)$('#timeline').scrollIntoView()}
 else if(document.activeElement===tl){const s=st.b-st.a,k={ArrowLeft:()=>view(st.a-s*.15,st.b-s*.15),ArrowRight:()=>view(st.a+s*.15,st.b+s*.15),'+':()=>zoom(.6),'=':()=>zoom(.6),'-':()=>zoom(1/.6),Home:()=>view(0,s),End:()=>view(END-s,END),'0':()=>view(0,END)}[e.key];if(k){e.preventDefault();k()}}});
$('#zi').onclick=()=>zoom(.6);$('#zo').onclick=()=>zoom(1/.6);$('#all').onclick=()=>view(0,END);$('#nxt').onclick=()=>nextBad();$('#nxt').disabled=!BAD.length;
$('#q').oninput=e=>{st.q=e.target.value;mkPred();draw()};
const cnt=new Map();for(let i=0;i<N;i++)for(const k of[OUT[O[i]],H.functions[F[i]]])cnt.set(k,(cnt.get(k)||0)+1);
$('#chips').innerHTML=OUT.map(o=>`<button class="chip" data-k="${o}">${glyph(o)}${o} ${fmt(cnt.get(o)||0)}</button>`).join('')+(H.functions.length<=6?H.functions.map(f=>`<button class="chip" data-k="${esc(f)}">${esc(f)} ${fmt(cnt.get(f)||0)}</button>`).join(''):'');
const chips=()=>$$('#chips .chip').forEach(b=>b.setAttribute('aria-pressed',!(st.off.has(b.dataset.k)||st.foff.has(b.dataset.k))));
$('#chips').onclick=e=>{const b=e.target.closest('.chip');if(!b)return;const k=b.dataset.k,s=OUT.includes(k)?st.off:st.foff;s.has(k)?s.delete(k):s.add(k);chips();mkPred();draw()};
addEventListener('hashchange',()=>{if(/=/.test(location.hash)){readHash();$('#q').value=st.q;chips();mkPred();draw(false);table()}});
/* ---- the counterexample and links to ops ---- */
$$('a.op').forEach(a=>{const gs=$$(`.ce .opb[data-op="${a.dataset.op}"]`),t=v=>()=>gs.forEach(g=>g.classList.toggle('hot',v));a.onmouseenter=a.onfocus=t(true);a.onmouseleave=a.onblur=t(false);a.onclick=e=>{e.preventDefault();focusOp(+a.dataset.op,true)}});
$$('.ce .opb').forEach(g=>{g.onclick=()=>focusOp(+g.dataset.op,true);g.onpointermove=v=>{const i=index(+g.dataset.op);if(i>=0)showTip(opTip(i),v.clientX,v.clientY)};g.onpointerleave=hideTip});
$$('.plots .plot').forEach(p=>p.onclick=e=>{const r=p.getBoundingClientRect(),t=(e.clientX-r.left-GL)/(r.width-GL-GR)*END;if(t>=0&&t<=END){const s=Math.min(st.b-st.a,END/10);view(t-s/2,t+s/2);$('#timeline').scrollIntoView()}});
/* ---- start ---- */
geo();colours();readHash();$('#q').value=st.q;chips();mkPred();drawTL();drawOV();table();
themeCbs.push(()=>{colours();draw(false)});
let rz;new ResizeObserver(()=>{clearTimeout(rz);rz=setTimeout(()=>{geo();draw(false)},60)}).observe($('#pl')||tl);
let folded=[];addEventListener('beforeprint',()=>{folded=$$('details:not([open])');folded.forEach(d=>d.open=true);root.style.colorScheme='light';colours();drawTL();drawOV()});addEventListener('afterprint',()=>{folded.forEach(d=>d.open=false);theme($('#theme').dataset.v||'auto')});
const io=new IntersectionObserver(es=>es.forEach(e=>{if(e.isIntersecting){$$('.rail a').forEach(a=>a.removeAttribute('aria-current'));const a=$(`.rail a[href="#${e.target.id}"]`);if(a)a.setAttribute('aria-current','true')}}),{rootMargin:'-60px 0px -75% 0px'});$$('#verdict,section').forEach(s=>io.observe(s));
root.dataset.ready='1';
})().catch(e=>{window.__errors.push(String(e&&e.stack||e));document.documentElement.dataset.ready='error';const s=document.querySelector('#tlst');if(s)s.textContent='The timeline could not be drawn: '+e+'. Everything else on this page stands without it.'});

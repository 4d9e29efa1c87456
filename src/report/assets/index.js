/* Filtering, sorting and keys over rows that are already there. */
(()=>{'use strict';
const rows=$$('tr.run'),tb=$('#tb'),S={q:'',v:new Set(),sort:'started',dir:-1,cur:-1,marked:false};
if(!rows.length){document.documentElement.dataset.ready='1';return}
const NUM=new Set(['rank','seed','ops','strikes']);
function read(){const p=new URLSearchParams(location.hash.slice(1));S.q=p.get('q')||'';S.v=new Set((p.get('verdict')||'').split(',').filter(Boolean));const s=p.get('sort');if(s&&/^-?[a-z]+$/.test(s)){S.dir=s[0]==='-'?-1:1;S.sort=s.replace('-','')}}
function write(){const p=[];if(S.q)p.push('q='+encodeURIComponent(S.q).replace(/%3A/g,':'));if(S.v.size)p.push('verdict='+[...S.v].join(','));if(S.sort!=='started'||S.dir!==-1)p.push('sort='+(S.dir<0?'-':'')+S.sort);history.replaceState(null,'',p.length?'#'+p.join('&'):location.pathname+location.search)}
function shown(){return $$('tr.run').filter(r=>!r.hidden)}
function render(){const ts=S.q.toLowerCase().split(/\s+/).filter(Boolean);let n=0;for(const r of rows){const on=ts.every(t=>r.dataset.q.includes(t))&&(!S.v.size||S.v.has(r.dataset.v))&&(!S.marked||r.classList.contains('marked'));r.hidden=!on;if(on)n++}
 const k=S.sort;tb.append(...[...rows].sort((a,b)=>{const x=a.dataset[k]||'',y=b.dataset[k]||'';return(NUM.has(k)?x-y:x<y?-1:x>y?1:0)*S.dir}));
 $('#sum').textContent=`${n} of ${rows.length} runs`;$('#nothing').hidden=!!n;$('#q').value=S.q;$$('#chips [data-v]').forEach(b=>b.setAttribute('aria-pressed',S.v.has(b.dataset.v)));$('#chips [data-marked]').setAttribute('aria-pressed',S.marked);
 $$('th[data-s]').forEach(t=>{const on=t.dataset.s===k;on?t.setAttribute('aria-sort',S.dir<0?'descending':'ascending'):t.removeAttribute('aria-sort');const b=$('button',t);b.textContent=b.textContent.replace(/ [↓↑]$/,'')+(on?S.dir<0?' ↓':' ↑':'')})}
function mark(r){r.classList.toggle('marked');$('input',r).checked=r.classList.contains('marked')}
const go=()=>{S.cur=-1;rows.forEach(r=>r.classList.remove('cur'));render();write()};
$('#q').oninput=e=>{S.q=e.target.value;go()};
$('#chips').onclick=e=>{const b=e.target.closest('.chip');if(!b)return;if('marked'in b.dataset)S.marked=!S.marked;else{const v=b.dataset.v;S.v.has(v)?S.v.delete(v):S.v.add(v)}go()};
$$('th[data-s] button').forEach(b=>b.onclick=()=>{const s=b.parentNode.dataset.s;S.dir=S.sort===s?-S.dir:s==='started'||NUM.has(s)&&s!=='rank'?-1:1;S.sort=s;go()});
tb.onclick=e=>{const t=e.target.closest('.run');if(!t||e.target.closest('a'))return;if(e.target.closest('.c')){t.classList.toggle('marked',$('input',t).checked)}else location.href=t.dataset.id};
addEventListener('keydown',e=>{const inp=e.target.tagName==='INPUT'&&e.target.type!=='checkbox';if(e.key==='Escape'&&inp){e.target.blur();return}if(inp||e.ctrlKey||e.metaKey||e.altKey)return;const rs=shown();
 if(e.key==='/'){e.preventDefault();$('#q').focus()}else if(e.key==='j'||e.key==='k'){S.cur=clamp(S.cur+(e.key==='j'?1:-1),0,rs.length-1);rs.forEach((r,i)=>r.classList.toggle('cur',i===S.cur));rs[S.cur]?.scrollIntoView({block:'nearest'})}else if(e.key==='x'&&rs[S.cur])mark(rs[S.cur]);else if(e.key==='Enter'&&rs[S.cur]&&document.activeElement===document.body)location.href=rs[S.cur].dataset.id});
addEventListener('hashchange',()=>{read();render()});
read();render();document.documentElement.dataset.ready='1'})();

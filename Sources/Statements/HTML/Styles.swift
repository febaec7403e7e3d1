/// How the page looks: one column on a phone, light and dark, black on white when printed.
enum Styles {
    static let sheet = """
        :root{color-scheme:light dark;--paper:#fbfaf7;--card:#fff;--ink:#1d2530;--soft:#5d6875;\
        --line:#e2e0d9;--one:#1f5f8b;--two:#d98a29;--bad:#b3372b;--good:#2f7d57;--tint:#eef3f6;\
        --age0:#f0c987;--age1:#e39a4b;--age2:#cf6237;--age3:#93261f}
        @media(prefers-color-scheme:dark){:root{--paper:#12161b;--card:#1a2027;--ink:#e6e9ec;\
        --soft:#9aa6b2;--line:#2c343d;--one:#6fb1dd;--two:#eab063;--bad:#ee8177;--good:#74c69d;\
        --tint:#202932;--age0:#6e5730;--age1:#b0793b;--age2:#d9713f;--age3:#f0998f}}
        *{box-sizing:border-box}
        body{margin:0;background:var(--paper);color:var(--ink);\
        font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",sans-serif;\
        -webkit-text-size-adjust:100%}
        main{max-width:76rem;margin:0 auto;padding:1.5rem 1rem 4rem}
        header h1{font-size:1.7rem;line-height:1.2;margin:0;letter-spacing:-.01em}
        header p{margin:.35rem 0 0;color:var(--soft)}header span,header time{white-space:nowrap}
        nav{display:flex;flex-wrap:wrap;gap:.3rem 1.1rem;margin-top:.7rem;font-size:.92rem}
        h2{font-size:1.15rem;margin:2.6rem 0 .3rem}
        h2+p{margin:.1rem 0 .9rem;color:var(--soft);max-width:46rem}
        h3{font-size:1rem;margin:0 0 .8rem}
        a{color:var(--one)}
        small{font-size:.78em;color:var(--soft)}
        code{font:.86em/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;\
        overflow-wrap:anywhere}
        .none{color:var(--soft)}
        .verdict{margin:1.2rem 0 0;padding:.75rem 1rem;border-radius:.5rem;background:var(--tint);\
        border-left:.35rem solid var(--good)}
        .verdict.bad{border-color:var(--bad)}
        .verdict p{margin:0}.verdict ul{margin:.4rem 0 0;padding-left:1.2rem}
        .tiles{display:grid;gap:.75rem;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));\
        margin:1.2rem 0 0;padding:0}
        .tiles div{background:var(--card);border:1px solid var(--line);border-radius:.5rem;\
        padding:.7rem .9rem;min-width:0}
        .tiles dt{color:var(--soft);font-size:.86rem}
        .tiles dd{margin:.1rem 0 0;font-size:1.35rem;font-weight:600;\
        font-variant-numeric:tabular-nums;overflow-wrap:anywhere;line-height:1.25}
        .tiles dd small{font-weight:400}.tiles .bad dd{color:var(--bad)}
        .tiles p{margin:.15rem 0 0;font-size:.82rem;font-weight:400;color:var(--soft)}
        .charts{display:grid;gap:1rem;grid-template-columns:repeat(2,minmax(0,1fr));margin-top:1.2rem}
        .charts>div{display:grid;gap:1rem;align-content:start;min-width:0}
        figure{margin:0;background:var(--card);border:1px solid var(--line);border-radius:.5rem;\
        padding:1rem;min-width:0}
        figcaption{font-weight:600}
        figure>p{margin:.1rem 0 .8rem;color:var(--soft);font-size:.86rem}
        .key{display:flex;flex-wrap:wrap;gap:.2rem 1rem;margin:.1rem 0 .8rem;padding:0;\
        list-style:none;font-size:.84rem;color:var(--soft)}
        .key i{display:inline-block;width:.75rem;height:.75rem;border-radius:.15rem;\
        margin-right:.35rem;vertical-align:-.06rem}
        .bar{margin:0 0 .7rem}
        .bar p{display:flex;justify-content:space-between;gap:.8rem;margin:0 0 .15rem;\
        font-size:.88rem;line-height:1.35}
        .bar p span:first-child{overflow-wrap:anywhere}
        .bar p span:last-child{color:var(--soft);font-variant-numeric:tabular-nums;text-align:right;\
        flex:none;max-width:60%}
        .bar .note{margin:.15rem 0 0;color:var(--soft);font-size:.8rem}
        svg{display:block;width:100%;overflow:visible}
        svg text{font-size:12px;fill:var(--soft);font-variant-numeric:tabular-nums}
        .track{fill:var(--tint)}.one{fill:var(--one)}.two{fill:var(--two)}.good{fill:var(--good)}\
        .bad{fill:var(--bad)}
        .age0{fill:var(--age0)}.age1{fill:var(--age1)}.age2{fill:var(--age2)}.age3{fill:var(--age3)}
        .area{fill:var(--one);opacity:.16}.curve{fill:none;stroke:var(--one);stroke-width:2}
        .rule{stroke:var(--line);stroke-width:1}
        .scroll{overflow-x:auto;border:1px solid var(--line);border-radius:.5rem;\
        background:var(--card)}
        table{border-collapse:collapse;width:100%;font-size:.9rem}
        th,td{padding:.45rem .7rem;text-align:left;vertical-align:top;\
        border-bottom:1px solid var(--line)}
        thead th{font-size:.8rem;color:var(--soft);font-weight:600;white-space:nowrap;\
        background:var(--card);border-bottom-width:2px}
        tbody tr:last-child>*{border-bottom:0}
        tfoot>tr>*{font-weight:600;border-top:2px solid var(--line);border-bottom:0}
        th[scope=row]{font-weight:500}
        .n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
        .id{overflow-wrap:anywhere;min-width:11rem}td.id{min-width:7rem}
        .more{margin:.6rem 0 0;color:var(--soft)}
        .tag{display:inline-block;padding:.02rem .45rem;border-radius:.8rem;font-size:.8rem;\
        background:var(--tint);white-space:nowrap}
        .tag.opened{background:var(--bad);color:var(--card)}
        .tag.standing{background:var(--two);color:var(--card)}
        .breaks{display:grid;gap:.75rem;padding:0;margin:0;list-style:none}
        .breaks>li{background:var(--card);border:1px solid var(--line);border-radius:.5rem;\
        padding:.8rem 1rem;display:grid;gap:.25rem 1.2rem;\
        grid-template-columns:minmax(0,1fr) minmax(0,1.25fr)}
        .breaks>li.closed{opacity:.72}
        .breaks p{margin:0}.breaks .head{font-weight:600}
        .breaks .head .tag{font-weight:400;margin-right:.4rem}
        .breaks .about{color:var(--soft);font-size:.88rem;overflow-wrap:anywhere}
        .breaks .about b{color:var(--ink);font-weight:600}
        .breaks .next{display:block;background:var(--tint);border-radius:.35rem;\
        padding:.4rem .6rem;margin-top:.25rem}
        .breaks>li:target{outline:2px solid var(--one)}
        footer{margin-top:3rem;color:var(--soft);font-size:.86rem;overflow-wrap:anywhere}
        details{margin-top:.7rem;font-size:.88rem}summary{cursor:pointer;color:var(--soft)}
        @media(max-width:46rem){.charts{grid-template-columns:minmax(0,1fr)}\
        .breaks>li{grid-template-columns:minmax(0,1fr)}\
        main{padding:1rem .8rem 3rem}header h1{font-size:1.4rem}.tiles{grid-template-columns:repeat(2,minmax(0,1fr))}\
        .tiles dd{font-size:1.12rem}}
        @media print{@page{margin:14mm}:root{--paper:#fff;--card:#fff;--ink:#000;--soft:#444;\
        --line:#bbb;--tint:#eee;--one:#1f5f8b;--two:#d98a29;--bad:#b3372b;--good:#2f7d57;\
        --age0:#f0c987;--age1:#e39a4b;--age2:#cf6237;--age3:#93261f}\
        body{font-size:10.5pt;-webkit-print-color-adjust:exact;print-color-adjust:exact}\
        main{max-width:none;padding:0}.scroll{overflow:visible;border:0}\
        figure,.breaks>li,tr,.tiles div{break-inside:avoid}h2{break-after:avoid}\
        table{font-size:7pt;line-height:1.25}th,td{padding:.12rem .3rem}.id,td.id{min-width:6.2rem}\
        tfoot{display:table-row-group}h2+p{max-width:none}.breaks{gap:.4rem}\
        .breaks>li{padding:.4rem .7rem;font-size:9pt}\
        thead th{white-space:normal;font-size:7pt}.tiles{grid-template-columns:repeat(3,1fr)}thead{display:table-header-group}\
        details,nav{display:none}a{color:inherit;text-decoration:none}}
        """
}

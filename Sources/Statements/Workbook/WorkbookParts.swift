/// The parts of a workbook that are the same for every night, or list its sheets.
///
/// Source: ECMA-376, Office Open XML File Formats
enum WorkbookParts {
    private static let head = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n"
    private static let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    private static let office =
        "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    private static let package = "http://schemas.openxmlformats.org/package/2006"
    private static let types = "application/vnd.openxmlformats-officedocument.spreadsheetml"

    static let relations =
        head + "<Relationships xmlns=\"\(package)/relationships\"><Relationship Id=\"rId1\" "
        + "Type=\"\(office)/officeDocument\" Target=\"xl/workbook.xml\"/></Relationships>\n"

    static func contentTypes(_ sheets: [SheetSeries.Written]) -> String {
        var text = head + "<Types xmlns=\"\(package)/content-types\">"
        text +=
            "<Default Extension=\"rels\" "
            + "ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/>"
        text += "<Default Extension=\"xml\" ContentType=\"application/xml\"/>"
        text += "<Override PartName=\"/xl/workbook.xml\" ContentType=\"\(types).sheet.main+xml\"/>"
        text += "<Override PartName=\"/xl/styles.xml\" ContentType=\"\(types).styles+xml\"/>"
        for sheet in sheets {
            text +=
                "<Override PartName=\"/xl/\(sheet.path)\" "
                + "ContentType=\"\(types).worksheet+xml\"/>"
        }
        return text + "</Types>\n"
    }

    /// Formulas are computed again when it is opened, so that a program that does not believe what
    /// is written beside them need not.
    static func workbook(_ sheets: [SheetSeries.Written]) -> String {
        var text = head + "<workbook xmlns=\"\(main)\" xmlns:r=\"\(office)\"><sheets>"
        for (index, sheet) in sheets.enumerated() {
            text +=
                "<sheet name=\"\(sheet.name)\" sheetId=\"\(index + 1)\" r:id=\"rId\(index + 1)\"/>"
        }
        return text + "</sheets><calcPr calcId=\"0\" fullCalcOnLoad=\"1\"/></workbook>\n"
    }

    static func workbookRelations(_ sheets: [SheetSeries.Written]) -> String {
        var text = head + "<Relationships xmlns=\"\(package)/relationships\">"
        for (index, sheet) in sheets.enumerated() {
            text +=
                "<Relationship Id=\"rId\(index + 1)\" Type=\"\(office)/worksheet\" "
                + "Target=\"\(sheet.path)\"/>"
        }
        text +=
            "<Relationship Id=\"rId\(sheets.count + 1)\" Type=\"\(office)/styles\" "
            + "Target=\"styles.xml\"/>"
        return text + "</Relationships>\n"
    }

    /// In the order of `CellStyle`.
    static let styles =
        head + """
            <styleSheet xmlns="\(main)">\
            <numFmts count="1"><numFmt numFmtId="164" formatCode="#,##0.00####"/></numFmts>\
            <fonts count="3"><font><sz val="11"/><name val="Calibri"/></font>\
            <font><b/><sz val="11"/><name val="Calibri"/></font>\
            <font><b/><sz val="11"/><color rgb="FFFFFFFF"/><name val="Calibri"/></font></fonts>\
            <fills count="3"><fill><patternFill patternType="none"/></fill>\
            <fill><patternFill patternType="gray125"/></fill>\
            <fill><patternFill patternType="solid"><fgColor rgb="FF17324D"/></patternFill></fill>\
            </fills>\
            <borders count="2"><border><left/><right/><top/><bottom/><diagonal/></border>\
            <border><left/><right/><top style="thin"/><bottom/><diagonal/></border></borders>\
            <cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/>\
            </cellStyleXfs><cellXfs count="10">
            """ + formats + "</cellXfs></styleSheet>\n"

    private static let formats: String = [
        (0, 0, 0, 0, ""), (0, 2, 2, 0, ""), (3, 0, 0, 0, ""), (164, 0, 0, 0, ""),
        (49, 0, 0, 0, ""), (49, 0, 0, 0, " quotePrefix=\"1\""), (3, 1, 0, 1, ""),
        (164, 1, 0, 1, ""), (0, 1, 0, 1, ""), (0, 1, 0, 0, ""),
    ].map { number, font, fill, border, more in
        "<xf numFmtId=\"\(number)\" fontId=\"\(font)\" fillId=\"\(fill)\" borderId=\"\(border)\" "
            + "xfId=\"0\" applyNumberFormat=\"1\" applyFont=\"1\" applyFill=\"1\" "
            + "applyBorder=\"1\"\(more)/>"
    }.joined()
}
